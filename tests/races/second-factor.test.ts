/** Two services on one database: a code opens one door, and guesses in parallel are worth no more than one after another. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { emailPerson, MAIL_PASSWORD, mailbox } from '../support/mail.ts';
import { query } from '../support/people.ts';
import { appCode, enrolTotp } from '../support/second-factor.ts';

let apps: [TestApp, TestApp];
beforeAll(async () => {
  const env = {
    ...LIMITS_OFF,
    LIMIT_SECOND_FACTOR: '5/15m',
    SESSION_MAX_PER_USER: '1000',
  };
  const app = await createTestApp({ env });
  const other = await createTestApp({ env, databaseUrl: app.databaseUrl, secrets: app.secrets });
  apps = [app, other];
});
afterAll(async () => {
  await apps[1].close();
  await apps[0].close();
});

const post = (n: number, path: string, body: object, token?: string) =>
  apps[n % 2]!.call('POST', path, { body, token });
const advance = (ms: number) => {
  for (const app of apps) app.clock.advance(ms);
};
const login = (email: string, n = 0) => post(n, '/v1/auth/login', { email, password: MAIL_PASSWORD });

async function enrolled() {
  const { email, userId } = await emailPerson(apps[0]);
  const token: string = (await login(email)).body.access_token;
  const factor = await enrolTotp(apps[0], token);
  advance(30_000);
  return { email, userId, token, ...factor };
}

/** So many logins that wait for their second factor. */
const halfIn = (email: string, count: number): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, async (_, n) => (await login(email, n)).body.session_token as string),
  );

const sessionsOf = async (userId: string): Promise<number> => {
  const [row] = await query<{ n: number }>(
    apps[0],
    'select count(*)::int as n from sessions where account_id = $1 and revoked_at is null',
    [userId],
  );
  return row?.n ?? -1;
};

const tally = (answers: { status: number }[]): Record<number, number> => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

describe.each(['TOTP step', 'backup code'])('one %s', (kind) => {
  test('given to twenty logins at once opens one session', async () => {
    const { email, userId, secret, backupCodes } = await enrolled();
    const tokens = await halfIn(email, 20);
    const before = await sessionsOf(userId);
    const code = kind === 'TOTP step' ? appCode(apps[0], secret) : (backupCodes[3] ?? '');
    const answers = await Promise.all(
      tokens.map((session_token, n) => post(n, '/v1/auth/mfa/verify', { session_token, code })),
    );
    expect(tally(answers)[200]).toBe(1);
    expect(await sessionsOf(userId)).toBe(before + 1);
    for (const { status } of answers) expect([200, 400, 409, 429]).toContain(status);
  });

  test('given to one login, to step-up and to removal at once opens one of them', async () => {
    const { email, token, secret, backupCodes } = await enrolled();
    const code = kind === 'TOTP step' ? appCode(apps[0], secret) : (backupCodes[5] ?? '');
    const [session_token] = await halfIn(email, 1);
    const answers = await Promise.all([
      post(0, '/v1/auth/mfa/verify', { session_token, code }),
      ...[1, 2, 3, 4].map((n) => post(n, '/v1/mfa/totp/verify', { code }, token)),
      ...[5, 6, 7, 8].map((n) => post(n, '/v1/auth/step-up', { code }, token)),
      post(9, '/v1/mfa/totp/disable', { password: MAIL_PASSWORD, code }, token),
      post(10, '/balance_hub/auth/login', { email, password: MAIL_PASSWORD, totp_code: code }),
    ]);
    expect(tally(answers)[200]).toBe(1);
  });
});

test('fifty wrong codes over fifty logins and the step-up are counted five times and told apart from waiting', async () => {
  const { email, userId, token, secret, factorId } = await enrolled();
  const right = appCode(apps[0], secret);
  const code = right === '111111' ? '222222' : '111111';
  const tokens = await halfIn(email, 25);
  const before = await sessionsOf(userId);
  const answers = await Promise.all([
    ...tokens.map((session_token, n) => post(n, '/v1/auth/mfa/verify', { session_token, code })),
    ...tokens.map((_, n) => post(n, '/v1/auth/step-up', { code }, token)),
  ]);
  const counts = tally(answers);
  expect(counts[200]).toBeUndefined();
  // Whoever lost a race may be told so; nobody is told more often than there are places that a code was wrong.
  expect(counts[400]).toBeLessThanOrEqual(5);
  expect((counts[400] ?? 0) + (counts[429] ?? 0) + (counts[409] ?? 0)).toBe(50);
  const [row] = await query<{ count: number }>(apps[0], 'select count from throttles where key = $1', [
    `factor:${factorId}`,
  ]);
  expect(row?.count).toBe(5);
  expect(await sessionsOf(userId)).toBe(before);
  const told = (await mailbox(apps[0], email)).filter((m) => m.subject?.includes('Too many wrong codes'));
  expect(told).toHaveLength(1);
  // The right code waits as well, by every way.
  const [session_token] = await halfIn(email, 1);
  expect((await post(0, '/v1/auth/mfa/verify', { session_token, code: right })).status).toBe(429);
  expect((await post(1, '/v1/auth/step-up', { code: right }, token)).status).toBe(429);
});

test('a right code among forty wrong ones gets in only while there are places left', async () => {
  const { email, userId, secret } = await enrolled();
  const right = appCode(apps[0], secret);
  const wrong = Array.from({ length: 40 }, (_, n) => String(100_000 + n)).filter((code) => code !== right);
  const tokens = await halfIn(email, wrong.length + 1);
  const before = await sessionsOf(userId);
  const codes = [...wrong.slice(0, 20), right, ...wrong.slice(20)];
  const answers = await Promise.all(
    codes.map((code, n) => post(n, '/v1/auth/mfa/verify', { session_token: tokens[n], code })),
  );
  const refused = answers.filter(({ status }) => status === 400).length;
  const opened = await sessionsOf(userId);
  // A right answer starts the count anew: five before it and five after.
  expect(refused).toBeLessThanOrEqual(10);
  expect(opened - before).toBe(answers.filter(({ status }) => status === 200).length);
});
