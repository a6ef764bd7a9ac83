/** The provider's signed verdict: nothing unsigned is read, nothing is taken twice, nothing stale moves anybody. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { signWebhook } from '../../src/adapters/webhook-signature.ts';
import { Problem } from '../../src/kernel/problems.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { expectProblem, freshPan, limited, type Person, REAL, submitKyc } from './people.ts';

const SECRET = 'webhook-secret-of-the-provider-in-tests';
let app: TestApp;
/** Takes every submission and says nothing: verdicts come by webhook. */
const provider = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(202).end());
});
beforeAll(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  app = await createTestApp({
    env: {
      ...REAL,
      ...LIMITS_OFF,
      KYC_ADAPTER: 'http',
      KYC_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/applicants`,
      KYC_SECRET: 'submission-secret-towards-the-provider',
      KYC_WEBHOOK_SECRET: SECRET,
    },
  });
});
afterAll(async () => {
  await app.close();
  provider.close();
});

type Verdict = {
  event_id: string;
  applicant_id: string;
  sequence: number;
  decision: string;
  retryable?: boolean;
  reason?: string | null;
};

const post = (rawBody: string, headers: Record<string, string>) =>
  app.call('POST', '/v1/webhooks/kyc', {
    body: rawBody,
    headers: { 'content-type': 'application/json', ...headers },
  });
const signed = (rawBody: string, { secret = SECRET, at = app.clock.now() } = {}) => {
  const timestamp = String(Math.floor(at / 1000));
  return {
    'x-vestibule-timestamp': timestamp,
    'x-vestibule-signature': signWebhook({ secret, timestamp, rawBody }),
  };
};
const deliver = (verdict: object) => {
  const body = JSON.stringify(verdict);
  return post(body, signed(body));
};

/** Somebody whose document waits for a verdict from outside. */
async function applicant(): Promise<Person & { kycId: string; verdict(more?: Partial<Verdict>): Verdict }> {
  const person = await limited(app);
  await submitKyc(app, person.access);
  const [row] = await app.services.db.writes`select id from kyc_records where account_id = ${person.userId}`;
  const kycId = row?.id as string;
  return {
    ...person,
    kycId,
    verdict: (more = {}) => ({
      event_id: randomUUID(),
      applicant_id: kycId,
      sequence: 1,
      decision: 'APPROVED',
      ...more,
    }),
  };
}
const stateOf = async ({ flow }: Person) =>
  (await app.services.db.writes`select state from flows where id = ${flow}`)[0]?.state;
const count = async (text: string, flow: string) =>
  (await app.services.db.writes.unsafe(text, [flow]))[0]?.n as number;

describe('is refused with 401, unread, when', () => {
  const cases: [string, (body: string) => Record<string, string>][] = [
    ['it has no signature', () => ({})],
    [
      'only the timestamp is there',
      (body) => ({ 'x-vestibule-timestamp': signed(body)['x-vestibule-timestamp'] }),
    ],
    ['another secret signed it', (body) => signed(body, { secret: '0'.repeat(64) })],
    ['another body was signed', (body) => signed(`${body} `)],
    ['it is older than 300 s', (body) => signed(body, { at: app.clock.now() - 302_000 })],
    ['it is more than 300 s ahead', (body) => signed(body, { at: app.clock.now() + 302_000 })],
    [
      'the timestamp was moved',
      (body) => ({
        ...signed(body),
        'x-vestibule-timestamp': String(Math.floor(app.clock.now() / 1000) + 1),
      }),
    ],
    ['the signature is empty', (body) => ({ ...signed(body), 'x-vestibule-signature': '' })],
    ['it is in another form', (body) => ({ ...signed(body), 'x-vestibule-signature': 'v0=00' })],
    [
      'there are two signatures',
      (body) => ({
        ...signed(body),
        'x-vestibule-signature': `${signed(body)['x-vestibule-signature']}, v1=00`,
      }),
    ],
  ];
  test.each(cases)('%s', async (_name, headers) => {
    const person = await applicant();
    const body = JSON.stringify(person.verdict());
    expectProblem(await post(body, headers(body)), 401, 'invalid_signature');
    // Not even the form of an unsigned body is judged.
    for (const broken of ['{', '{"a":', '[]', '{"__proto__":1}'])
      expectProblem(await post(broken, headers(broken === '{' ? body : broken)), 401, 'invalid_signature');
    expect(await stateOf(person)).toBe('LIMITED.kyc_submitted');
  });
});

test('signed bodies of another form are 400 with the field and change nothing', async () => {
  const person = await applicant();
  const wrong: Partial<Record<keyof Verdict, unknown>>[] = [
    { decision: 'FULL' },
    { sequence: 0 },
    { sequence: 1.5 },
    { sequence: '1' },
    { sequence: 2 ** 53 },
    { applicant_id: '' },
    { applicant_id: "x' or 1=1" },
    { event_id: null as never },
    { retryable: true },
    { reason: '' },
    { reason: 'x'.repeat(201) },
  ];
  for (const patch of wrong) {
    const answer = await deliver({ ...person.verdict(), ...patch });
    expectProblem(answer, 400, 'validation_failed');
    expect(answer.body.errors[0].pointer).toBe(`/body/${Object.keys(patch)[0]}`);
  }
  expectProblem(await deliver({ ...person.verdict(), tier: 'FULL' }), 400, 'validation_failed');
  expectProblem(await deliver({ ...person.verdict(), user_id: person.userId }), 400, 'validation_failed');
  expectProblem(await deliver([person.verdict()]), 400, 'validation_failed');
  expectProblem(
    await post('{"event_id":"a\\u0000"}', signed('{"event_id":"a\\u0000"}')),
    400,
    'malformed_body',
  );
  expect(await stateOf(person)).toBe('LIMITED.kyc_submitted');
});

test('a verdict that keeps losing against other changes of the account is no duplicate: it is refused and taken later', async () => {
  const person = await applicant();
  const contended = vi.spyOn(app.services.engine, 'send').mockRejectedValue(new Problem('conflict'));
  try {
    expectProblem(await deliver(person.verdict({ event_id: 'contended' })), 409, 'conflict');
  } finally {
    contended.mockRestore();
  }
  expect((await deliver(person.verdict({ event_id: 'contended' }))).body).toEqual({
    accepted: true,
    duplicate: false,
  });
  expect(await stateOf(person)).toBe('FULL');
});

test('an approval moves the account to FULL once, however often and however parallel it comes', async () => {
  const person = await applicant();
  const verdict = person.verdict();
  const answers = await Promise.all(Array.from({ length: 20 }, () => deliver(verdict)));
  expect(answers.map((a) => a.status)).toEqual(Array.from({ length: 20 }, () => 200));
  expect(answers.filter((a) => a.body.accepted)).toHaveLength(1);
  app.clock.advance(3_600_000);
  expect((await deliver(verdict)).body).toEqual({ accepted: false, duplicate: true });
  expect(await stateOf(person)).toBe('FULL');
  const moves = `select count(*)::int as n from flow_steps where flow_id = $1 and to_state = 'FULL' and not refused`;
  expect(await count(moves, person.flow)).toBe(1);
  expect(
    await count(
      `select count(*)::int as n from audit_events where flow_id = $1 and type = 'kyc.approved'`,
      person.flow,
    ),
  ).toBe(1);
  expect(
    await count(
      `select count(*)::int as n from outbox where flow_id = $1 and topic = 'event' and payload->>'type' = 'kyc.approved'`,
      person.flow,
    ),
  ).toBe(1);
});

test('only a newer sequence moves: a late rejection after the approval changes nothing', async () => {
  const person = await applicant();
  expect((await deliver(person.verdict({ sequence: 5 }))).body.accepted).toBe(true);
  for (const [sequence, decision] of [
    [4, 'REJECTED'],
    [5, 'REJECTED'],
    [3, 'REVIEW'],
    [5, 'REVOKED'],
    [1, 'REVOKED'],
  ] as const)
    expect(await deliver(person.verdict({ sequence, decision }))).toMatchObject({
      status: 200,
      body: { accepted: false },
    });
  expect(await stateOf(person)).toBe('FULL');
});

test('applicants that are not ours, or of another try, are 200 and taken for nothing', async () => {
  const person = await applicant();
  for (const applicant_id of [randomUUID(), person.userId, person.flow, 'other-system:42'])
    expect(await deliver(person.verdict({ applicant_id }))).toMatchObject({
      status: 200,
      body: { accepted: false, duplicate: false },
    });
  await deliver(person.verdict({ decision: 'REJECTED', retryable: true }));
  await submitKyc(app, person.access, freshPan());
  // The old record's verdict comes late: its document is no longer the one under way.
  expect((await deliver(person.verdict({ sequence: 9 }))).body.accepted).toBe(false);
  expect(await stateOf(person)).toBe('LIMITED.kyc_submitted');
});

test('a revocation takes FULL away at once, from tokens issued before it too', async () => {
  const person = await applicant();
  await deliver(person.verdict());
  const me = () => app.call('GET', '/v1/users/me', { token: person.access });
  expect((await me()).body).toMatchObject({ account_tier: 'FULL', scope: '*' });
  expect(
    (await deliver(person.verdict({ sequence: 2, decision: 'REVOKED', reason: 'lost' }))).body.accepted,
  ).toBe(true);
  expect((await me()).body).toMatchObject({ account_tier: 'LIMITED', scope: 'profile:read kyc:write' });
  const kyc = await app.call('GET', '/v1/kyc', { token: person.access });
  expect(kyc.body).toMatchObject({
    status: 'REJECTED',
    account_tier: 'LIMITED',
    reason: 'lost',
    can_retry: true,
  });
});

test('two secrets verify during a rotation; after it the old one does not', async () => {
  const [old, fresh] = ['a'.repeat(40), 'b'.repeat(40)];
  const body = JSON.stringify({ event_id: 'e', applicant_id: randomUUID(), sequence: 1, decision: 'REVIEW' });
  const sendTo = (target: TestApp, secret: string) =>
    target.call('POST', '/v1/webhooks/kyc', {
      body,
      headers: { 'content-type': 'application/json', ...signed(body, { secret, at: target.clock.now() }) },
    });
  const rotating = await createTestApp({
    env: { KYC_WEBHOOK_SECRET: `${fresh},${old}` },
    databaseUrl: app.databaseUrl,
    secrets: app.secrets,
  });
  expect((await sendTo(rotating, old)).status).toBe(200);
  expect((await sendTo(rotating, fresh)).status).toBe(200);
  await rotating.close();
  const rotated = await createTestApp({
    env: { KYC_WEBHOOK_SECRET: fresh },
    databaseUrl: app.databaseUrl,
    secrets: app.secrets,
  });
  expectProblem(await sendTo(rotated, old), 401, 'invalid_signature');
  expect((await sendTo(rotated, fresh)).status).toBe(200);
  await rotated.close();
});
