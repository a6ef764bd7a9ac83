/** The engine on a real database: all of a step or nothing of it, whatever fails, and whoever else writes. */
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoadedFlow } from '../../db/flows.ts';
import { registry } from '../../machines/index.ts';
import type { Decision, SendContext } from '../../src/engine/engine.ts';
import { mint } from '../../src/http/request-context.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { brokenInvariants } from '../support/invariants.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { PASSWORD, PROFILE } from '../support/person.ts';
import { signUpTo } from '../support/sign-up.ts';
import { added, dump } from '../support/tables.ts';

let app: TestApp;
let sql: Sql;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
  sql = postgres(app.databaseUrl, { max: 3, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await app.close();
});

type Walked = { phone: string; flowId: string; token: string; access: string; accountId: string };

async function walk(until: string): Promise<Walked> {
  app.clock.advance(2000);
  const inputs = { ...PROFILE, password: PASSWORD };
  const { phone, flowId, flowToken, access } = await signUpTo(
    { call: app.call, phone: freshPhone(), codeOf: () => '000000', inputs },
    until,
  );
  const [flow] = await sql`select account_id from flows where id = ${flowId}`;
  return { phone, flowId, token: flowToken, access, accountId: flow?.account_id ?? '' };
}
/** All rows once nothing is on its way out any more. */
const still = async (options?: Parameters<typeof dump>[1]) => {
  await app.relay.drain();
  return dump(sql, options);
};
const complete = (token: string) => app.call('POST', '/v1/auth/signup/profile', { body: PROFILE, token });
const caller = (): SendContext => ({
  now: app.clock.now(),
  deviceId: null,
  envelope: {
    actor: 'client',
    requestId: null,
    network: null,
    userAgent: null,
    country: null,
    language: null,
  },
});
const submitKyc = (kycId = mint(), numberHash = kycId): Decision<'signup'> => ({
  event: { type: 'KYC_SUBMITTED', now: app.clock.now(), kycId },
  enclosures: { kyc: { documentType: 'PAN', numberSealed: 'sealed', numberHash, numberLast4: '1234' } },
});

describe('a fault before the commit leaves nothing', () => {
  test.each(['flow_steps', 'accounts', 'profiles', 'audit_events', 'outbox', 'sessions', 'flows'])(
    'when %s cannot be written',
    async (table) => {
      const { token, flowId } = await walk('credentials_set');
      await sql.unsafe(`
        create function fault() returns trigger language plpgsql as
          $$ begin raise exception 'the disk is full' using errcode = '53100'; end $$;
        create trigger fault before insert or update on ${table} for each row execute function fault()`);
      const before = await still();
      const failed = await complete(token);
      const after = await still();
      await sql.unsafe(`drop trigger fault on ${table}; drop function fault()`);
      expect(failed).toMatchObject({ status: 503, body: { code: 'dependency_unavailable' } });
      expect(after).toEqual(before);
      expect(await complete(token)).toMatchObject({ status: 200, body: { account_tier: 'LIMITED' } });
      const [flow] = await sql`select state, version from flows where id = ${flowId}`;
      expect(flow).toEqual({ state: 'LIMITED.kyc_none', version: 4 });
    },
  );
});

test('an effect whose id is already in the outbox has no second effect', async () => {
  const { phone, flowId, token } = await walk('code_sent');
  await sql`insert into outbox (id, topic, flow_id, payload, status, due_at, created_at)
    values (${`${flowId}:2:0`}, 'code.send', ${flowId}, '{"first": true}', 'done', now(), now())`;
  app.clock.advance(2000);
  const resent = await app.call('POST', '/v1/auth/signup/phone', { body: { phone }, token });
  expect(resent.status).toBe(200);
  const rows = await sql`select payload, status from outbox where id = ${`${flowId}:2:0`}`;
  expect([...rows]).toEqual([{ payload: { first: true }, status: 'done' }]);
});

/** What the audit says of repairs of the flow. */
const repairs = async (flowId: string) => {
  const rows = await sql`select data from audit_events where flow_id = ${flowId} and type = 'flow.repaired'`;
  return rows.map(({ data }) => data);
};

describe('a sign-up whose snapshot is lost', () => {
  const lose = (flowId: string) => sql`update flows set snapshot = '{}' where id = ${flowId}`;
  const accountOf = async (id: string) =>
    (await sql`select tier, status from accounts where id = ${id}`)[0] as { tier: string; status: string };
  const flowOf = async (id: string) =>
    (await sql`select state, status, version from flows where id = ${id}`)[0];
  const PAN = { document_type: 'PAN', document_number: 'ABCDE1234F' };

  test('of a LIMITED account resumes before KYC, for 50 requests at once with one repair', async () => {
    const { flowId, accountId, access } = await walk('LIMITED');
    const submitted = await app.call('POST', '/v1/kyc', { token: access, body: PAN });
    expect(submitted).toMatchObject({ status: 202, body: { state: 'LIMITED.kyc_submitted' } });
    await lose(flowId);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => app.call('GET', '/v1/kyc', { token: access })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body.state))).toEqual(new Set(['LIMITED.kyc_none']));
    expect(await repairs(flowId)).toEqual([
      { repair: 'resume', tier: 'LIMITED', from: 'LIMITED.kyc_submitted' },
    ]);
    expect(await flowOf(flowId)).toMatchObject({ state: 'LIMITED.kyc_none', status: 'active' });
    expect(await accountOf(accountId)).toEqual({ tier: 'LIMITED', status: 'active' });
    const again = await app.call('POST', '/v1/kyc', { token: access, body: PAN });
    expect(again).toMatchObject({ status: 202, body: { state: 'LIMITED.kyc_submitted' } });
    const [kept] = await sql`select snapshot->'context' as c from flows where id = ${flowId}`;
    expect(kept?.c).toMatchObject({ accountId, profileComplete: true, kyc: { submissions: 2 } });
    expect(await brokenInvariants(sql)).toEqual({});
  });

  test('of a LIMITED account takes 50 submissions at once as one', async () => {
    const { flowId, access } = await walk('LIMITED');
    await lose(flowId);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => app.call('POST', '/v1/kyc', { token: access, body: PAN })),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.every(({ status }) => status === 202 || status === 409)).toBe(true);
    expect(await repairs(flowId)).toHaveLength(1);
    expect(await brokenInvariants(sql)).toEqual({});
  });

  test('and that was taken out of circulation before resumes as well', async () => {
    const { flowId, access } = await walk('LIMITED');
    await sql`update flows set snapshot = '{}', status = 'quarantined' where id = ${flowId}`;
    expect(await app.call('GET', '/v1/kyc', { token: access })).toMatchObject({
      status: 200,
      body: { state: 'LIMITED.kyc_none' },
    });
    expect(await repairs(flowId)).toHaveLength(1);
  });

  test('of an UNVERIFIED account is over with it, once for 50 requests at once', async () => {
    const { flowId, accountId, token } = await walk('credentials_set');
    await lose(flowId);
    const answers = await Promise.all(Array.from({ length: 50 }, () => complete(token)));
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 409, body: { code: 'flow_needs_restart' } });
    expect(await repairs(flowId)).toEqual([
      { repair: 'anew', tier: 'UNVERIFIED', from: 'UNVERIFIED.credentials_set' },
    ]);
    expect(await accountOf(accountId)).toEqual({ tier: 'UNVERIFIED', status: 'archived' });
    expect(await sql`select 1 from credentials where account_id = ${accountId}`).toHaveLength(0);
    expect(await brokenInvariants(sql)).toEqual({});
  });

  test('of a FULL account is not needed: the account stays FULL and logs in', async () => {
    const { flowId, accountId, access, token, phone } = await walk('LIMITED');
    await app.call('POST', '/v1/kyc', { token: access, body: { ...PAN, document_number: 'ABCPE9876K' } });
    await app.relay.drain();
    expect(await accountOf(accountId)).toEqual({ tier: 'FULL', status: 'active' });
    await lose(flowId);
    for (let time = 0; time < 2; time++)
      expect(await app.call('GET', '/v1/auth/signup', { token })).toMatchObject({ status: 409 });
    expect(await repairs(flowId)).toEqual([{ repair: 'needless', tier: 'FULL', from: 'FULL' }]);
    expect(await flowOf(flowId)).toMatchObject({ status: 'quarantined' });
    expect(await accountOf(accountId)).toEqual({ tier: 'FULL', status: 'active' });
    app.clock.advance(2000);
    await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
    const login = await app.call('POST', '/v1/auth/verify-otp', { body: { phone, otp: '000000' } });
    expect(login).toMatchObject({ status: 200, body: { account_tier: 'FULL' } });
  });

  test('of a blocked account is not repaired while it is blocked', async () => {
    const { flowId, accountId, token } = await walk('credentials_set');
    await sql`update accounts set status = 'blocked' where id = ${accountId}`;
    await lose(flowId);
    expect((await complete(token)).status).toBe(409);
    expect(await repairs(flowId)).toEqual([]);
    expect(await accountOf(accountId)).toEqual({ tier: 'UNVERIFIED', status: 'blocked' });
  });
});

describe('a snapshot that does not parse is contained', () => {
  const context = "snapshot->'context'";
  test.each([
    ['an unknown state', `jsonb_set(snapshot, '{value}', '"nowhere"')`],
    ['an unknown substate', `jsonb_set(snapshot, '{value}', '{"UNVERIFIED": "nowhere"}')`],
    ['a state that is null', `jsonb_set(snapshot, '{value}', 'null')`],
    ['a state that is a list', `jsonb_set(snapshot, '{value}', '["UNVERIFIED"]')`],
    ['half a state', `jsonb_set(snapshot, '{value}', '"UNVERIFIED"')`],
    ['two states', `jsonb_set(snapshot, '{value}', '{"UNVERIFIED": "code_sent", "LIMITED": "kyc_none"}')`],
    ['a prototype for a state', `jsonb_set(snapshot, '{value}', '"__proto__"')`],
    ['an ended flow in a state that has not', `jsonb_set(snapshot, '{status}', '"done"')`],
    ['an unknown status', `jsonb_set(snapshot, '{status}', '"weird"')`],
    ['a context with an unknown key', `jsonb_set(snapshot, '{context}', ${context} || '{"tier": "FULL"}')`],
    ['a context without a key', `jsonb_set(snapshot, '{context}', (${context}) - 'code')`],
    ['a context of another shape', `jsonb_set(snapshot, '{context}', '[]')`],
    ['a snapshot of another shape', `'[]'`],
    ['a snapshot that is a text', `'"UNVERIFIED"'`],
  ])('%s', async (_name, expression) => {
    const { phone, flowId, token } = await walk('code_sent');
    const other = await walk('code_sent');
    await sql.unsafe(`update flows set snapshot = ${expression} where id = '${flowId}'`);
    const except = ['flows', 'audit_events'];
    const before = await still({ except });
    const verify = { body: { phone, otp: '000000' }, token };
    for (let time = 0; time < 2; time++) {
      const answer = await app.call('POST', '/v1/auth/signup/verify-otp', verify);
      expect(answer).toMatchObject({ status: 409, body: { code: 'flow_needs_restart' } });
    }
    expect(await app.call('GET', '/v1/auth/signup', { token })).toMatchObject({ status: 409 });
    expect(await still({ except })).toEqual(before);
    expect(await repairs(flowId)).toEqual([{ repair: 'anew', tier: null, from: 'UNVERIFIED.code_sent' }]);
    const [row] = await sql`select status, version from flows where id = ${flowId}`;
    expect(row).toEqual({ status: 'quarantined', version: 1 });
    const goesOn = { body: { phone: other.phone, otp: '000000' }, token: other.token };
    expect((await app.call('POST', '/v1/auth/signup/verify-otp', goesOn)).status).toBe(200);
    // The person starts over.
    app.clock.advance(2000);
    expect((await app.call('POST', '/v1/auth/signup/phone', { body: { phone } })).status).toBe(200);
  });

  test('a machine version nothing upgrades from', async () => {
    const { flowId, token } = await walk('code_sent');
    await sql`update flows set machine_version = 0 where id = ${flowId}`;
    const answer = await app.call('GET', '/v1/auth/signup', { token });
    expect(answer).toMatchObject({ status: 409, body: { code: 'flow_needs_restart' } });
    expect((await sql`select status from flows where id = ${flowId}`)[0]?.status).toBe('quarantined');
  });
});

test('a snapshot of a newer build is refused without writing anything', async () => {
  const { phone, flowId, token } = await walk('code_sent');
  await sql`update flows set machine_version = ${registry.signup.version + 1} where id = ${flowId}`;
  const before = await still();
  const verify = { body: { phone, otp: '000000' }, token };
  const answer = await app.call('POST', '/v1/auth/signup/verify-otp', verify);
  expect(answer).toMatchObject({ status: 409, body: { code: 'flow_needs_restart' } });
  expect(await still()).toEqual(before);
});

test('a snapshot that claims another tier than the account moves nothing', async () => {
  const { token, accountId } = await walk('credentials_set');
  await sql`update accounts set tier = 'FULL' where id = ${accountId}`;
  const before = await still();
  const answer = await complete(token);
  const after = await still();
  await sql`update accounts set tier = 'UNVERIFIED' where id = ${accountId}`;
  expect(answer).toMatchObject({ status: 409, body: { code: 'flow_needs_restart' } });
  expect(after).toEqual(before);
});

describe('an account that is not active', () => {
  test.each(['blocked', 'deleted'])('never advances: %s', async (status) => {
    const { token, accountId, flowId } = await walk('credentials_set');
    await sql`update accounts set status = ${status} where id = ${accountId}`;
    const before = await still();
    expect(await complete(token)).toMatchObject({ status: 403, body: { code: 'account_blocked' } });
    const after = await still();
    expect(added(before, after, 'flow_steps')).toMatchObject([
      { flow_id: flowId, refused: true, event: 'PROFILE_SUBMITTED', reason: 'the account is not active' },
    ]);
    expect({ ...after, flow_steps: before.flow_steps }).toEqual(before);
  });

  test('blocked between the decision and the commit, it does not advance either', async () => {
    const { flowId, accountId } = await walk('LIMITED');
    let decisions = 0;
    const sending = app.services.engine.send(
      'signup',
      { id: flowId },
      async () => {
        if (decisions++ === 0) await sql`update accounts set status = 'blocked' where id = ${accountId}`;
        return submitKyc();
      },
      caller(),
    );
    await expect(sending).rejects.toMatchObject({ code: 'account_blocked' });
    expect(decisions).toBe(2);
    await sql`update sessions set revoked_at = now() where account_id = ${accountId}`;
    expect(await sql`select 1 from kyc_records where flow_id = ${flowId}`).toHaveLength(0);
  });

  test('a blocked owner of the contact shows nowhere before the code is proven', async () => {
    const { phone, accountId } = await walk('LIMITED');
    const signup = registry.signup;
    expect(signup.needsActiveAccount).toBe(true);
    await sql`update accounts set status = 'blocked' where id = ${accountId}`;
    // A second sign-up on the same contact, as anybody could open it.
    await sql`update sessions set revoked_at = now() where account_id = ${accountId}`;
    const [contact] = await sql`select id from contacts where account_id = ${accountId}`;
    const flowId = mint();
    const { terms } = app.services.proofs;
    const event = {
      type: 'PHONE_SUBMITTED' as const,
      now: app.clock.now(),
      terms: terms(phone),
      suppressed: false,
      contactId: contact?.id,
      ttlMs: 86_400_000,
      restart: false,
    };
    await app.services.engine.open('signup', { flowId, event, tokenTtlMs: 900_000 }, caller());
    const resend = () => ({
      event: {
        type: 'CODE_REQUESTED' as const,
        now: app.clock.now(),
        terms: terms(phone),
        suppressed: false,
      },
    });
    const { flow } = await app.services.engine.send('signup', { id: flowId }, resend, caller());
    expect(flow.state).toBe('UNVERIFIED.code_sent');
  });
});

describe('rows that move between the decision and the commit', () => {
  /** Sends KYC_SUBMITTED; `meanwhile` runs inside the first decision only. */
  async function sendWhile(flowId: string, meanwhile: (loaded: LoadedFlow) => Promise<unknown>) {
    const seen: LoadedFlow[] = [];
    const result = await app.services.engine.send(
      'signup',
      { id: flowId },
      async (loaded) => {
        seen.push(loaded);
        if (seen.length === 1) await meanwhile(loaded);
        return submitKyc();
      },
      caller(),
    );
    return { seen, result };
  }

  test('a stale account is read again and decided again', async () => {
    const { flowId, accountId } = await walk('LIMITED');
    const { seen, result } = await sendWhile(flowId, () =>
      sql`insert into outbox (id, topic, account_id, account_seq, payload, status, due_at, created_at)
        select ${`test:${flowId}`}, 'event', id, event_seq + 1, '{"type": "test"}', 'done', now(), now()
        from accounts where id = ${accountId}`.then(
        () => sql`update accounts set event_seq = event_seq + 1 where id = ${accountId}`,
      ),
    );
    expect(seen).toHaveLength(2);
    expect(seen[1]?.account?.eventSeq).toBe((seen[0]?.account?.eventSeq ?? 0) + 1);
    expect(result.flow.state).toBe('LIMITED.kyc_submitted');
    expect(await brokenInvariants(sql)).toEqual({});
  });

  test('an event that somebody else took first is refused, with the state it met', async () => {
    const { flowId } = await walk('LIMITED');
    const lost = sendWhile(flowId, () => sendWhile(flowId, async () => {}));
    await expect(lost).rejects.toMatchObject({
      code: 'event_refused',
      status: 409,
      extras: { state: 'LIMITED.kyc_submitted' },
    });
    expect(await sql`select 1 from kyc_records where flow_id = ${flowId}`).toHaveLength(1);
  });

  test('a flow that is archived meanwhile takes no step, and nothing of it is written', async () => {
    const { flowId } = await walk('LIMITED');
    const before = await still();
    const sending = sendWhile(flowId, () => sql`update flows set status = 'archived' where id = ${flowId}`);
    await expect(sending).rejects.toMatchObject({ status: 409 });
    const after = await still();
    expect(added(before, after, 'kyc_records')).toEqual([]);
    expect(added(before, after, 'flow_steps').filter((row) => !row.refused)).toEqual([]);
    expect(await sql`select status, state, version from flows where id = ${flowId}`).toMatchObject([
      { status: 'archived', state: 'LIMITED.kyc_none', version: 4 },
    ]);
    await sql`update flows set status = 'active' where id = ${flowId}`;
  });

  test('a unique key that stays taken is a conflict, not an error, and changes nothing', async () => {
    const [first, second] = [await walk('LIMITED'), await walk('LIMITED')];
    const ids = [mint(), mint()] as const;
    const submit = (flowId: string, kycId: string) =>
      app.services.engine.send('signup', { id: flowId }, () => submitKyc(kycId, 'same document'), caller());
    await submit(first.flowId, ids[0]);
    await submit(second.flowId, ids[1]);
    const approve = (flowId: string, kycId: string) =>
      app.services.engine.send(
        'signup',
        { id: flowId },
        () => ({
          event: {
            type: 'KYC_APPROVED',
            now: app.clock.now(),
            kycId,
            sequence: 1,
            reason: null,
            by: 'provider',
            risk: { decision: 'ALLOW' as const, reasons: [], at: app.clock.now() },
          },
        }),
        caller(),
      );
    await approve(first.flowId, ids[0]);
    const before = await still();
    await expect(approve(second.flowId, ids[1])).rejects.toMatchObject({ code: 'conflict', status: 409 });
    expect(await still()).toEqual(before);
  });

  test('a deadlock broken by Postgres is decided again', async () => {
    const { flowId, accountId } = await walk('LIMITED');
    const tx = await sql.reserve();
    await tx`begin`;
    await tx`select 1 from accounts where id = ${accountId} for update`;
    const sending = app.services.engine.send('signup', { id: flowId }, () => submitKyc(), caller());
    await expect
      .poll(async () => (await sql`select 1 from pg_stat_activity where wait_event_type = 'Lock'`).length)
      .toBeGreaterThan(0);
    // The commit holds the flow and waits for the account; this wants them the other way round.
    await tx`set local deadlock_timeout = '10s'`;
    await tx`select 1 from flows where id = ${flowId} for update`;
    await tx`commit`;
    tx.release();
    expect((await sending).flow.state).toBe('LIMITED.kyc_submitted');
  });

  test('a row somebody keeps locked is a 503 in bounded time, and nothing is written', async () => {
    const { flowId, accountId } = await walk('LIMITED');
    // The outbox retries other tests' documents, whose seals nobody can open.
    const before = await still({ except: ['outbox'] });
    const tx = await sql.reserve();
    await tx`begin`;
    await tx`select 1 from accounts where id = ${accountId} for update`;
    const started = Date.now();
    const sending = app.services.engine.send('signup', { id: flowId }, () => submitKyc(), caller());
    await expect(sending).rejects.toMatchObject({ code: '55P03' });
    expect(Date.now() - started).toBeLessThan(5000);
    await tx`rollback`;
    tx.release();
    expect(await still({ except: ['outbox'] })).toEqual(before);
  });
});

test('after all of it the invariants hold', async () => {
  expect(await brokenInvariants(sql)).toEqual({});
});
