/** A reset, a change of the password and a deletion tell of every session they end, in the commit that ends it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { giveEmail, query } from '../support/people.ts';
import { logIn, PASSWORD, type SignedIn, signUp } from '../support/signed-in.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

const NEW_PASSWORD = 'Another-Secret#2024';

/** Three live sessions, and one that ran out long ago without ever being ended. */
async function atHome(): Promise<[SignedIn, SignedIn, SignedIn]> {
  const first = await signUp(app);
  const stale = await logIn(app, first.phone);
  await query(app, "update sessions set idle_expires_at = created_at + interval '1 second' where id = $1", [
    stale.sessionId,
  ]);
  return [first, await logIn(app, first.phone), await logIn(app, first.phone)];
}

/** `session.revoked` in the account's order, as audited and as published; both must say the same. */
async function revoked(userId: string): Promise<string[][]> {
  const published = await query<{ reason: string; id: string }>(
    app,
    `select payload->>'reason' as reason, payload->>'session_id' as id from outbox
     where account_id = $1 and payload->>'type' = 'session.revoked' order by account_seq`,
    [userId],
  );
  const audited = await query<{ reason: string; id: string }>(
    app,
    "select reason, session_id as id from audit_events where account_id = $1 and type = 'session.revoked'",
    [userId],
  );
  const pairs = (rows: typeof published) => rows.map(({ reason, id }) => [reason, id]);
  expect(pairs(audited).sort()).toEqual(pairs(published).sort());
  const [row] = await query<{ whole: boolean }>(
    app,
    `select a.event_seq = max(o.account_seq) and count(*) = count(distinct o.account_seq)
       and count(*) = a.event_seq as whole
     from accounts a join outbox o on o.account_id = a.id where a.id = $1 group by a.event_seq`,
    [userId],
  );
  expect(row?.whole, 'the account’s events are in order, without a gap').toBe(true);
  return pairs(published).sort();
}

const told = (reason: string, sessions: SignedIn[]) => sessions.map((s) => [reason, s.sessionId]).sort();
const open = (userId: string) =>
  query(app, 'select id from sessions where account_id = $1 and revoked_at is null', [userId]);

test('a reset answers with how many sessions it ended, and tells of each', async () => {
  const sessions = await atHome();
  const { userId } = sessions[0];
  await giveEmail(app, userId, 'reset-ends@example.com');
  await app.call('POST', '/v1/auth/password/reset-request', { body: { email: 'reset-ends@example.com' } });
  const [row] = await query<{ id: string; token_generation: string }>(
    app,
    "select id, token_generation from flows where machine = 'recovery' and account_id = $1",
    [userId],
  );
  const token = createKeyring(app.secrets.masterKey).flowTokenFor(row!.id, Number(row!.token_generation));
  const body = { token, new_password: NEW_PASSWORD };
  expect(await app.call('POST', '/v1/auth/password/reset', { body })).toMatchObject({
    status: 200,
    body: { user_id: userId, sessions_revoked: 3 },
  });
  expect(await revoked(userId)).toEqual(told('password_reset', sessions));
  expect(await open(userId)).toEqual([]);
});

test('a changed password tells of every other session it ends, and of none when it ends none', async () => {
  const [here, ...others] = await atHome();
  const change = (current_password: string, new_password: string, revoke_other_sessions: boolean) =>
    app.call('POST', '/v1/users/change-password', {
      token: here.access,
      body: { current_password, new_password, revoke_other_sessions },
    });
  expect((await change(PASSWORD, NEW_PASSWORD, false)).status).toBe(200);
  expect(await revoked(here.userId)).toEqual([]);
  expect((await change(NEW_PASSWORD, PASSWORD, true)).status).toBe(200);
  expect(await revoked(here.userId)).toEqual(told('password_changed', others));
  expect(await open(here.userId)).toEqual([{ id: here.sessionId }]);
});

test('a deletion answers with how many sessions it ended, and tells of each', async () => {
  const sessions = await atHome();
  const [{ userId, access: token }] = sessions;
  const gone = await app.call('DELETE', '/v1/users/me', { token, body: { password: PASSWORD } });
  expect(gone).toMatchObject({ status: 200, body: { sessions_revoked: 3 } });
  expect(await revoked(userId)).toEqual(told('deleted', sessions));
  expect(await open(userId)).toEqual([]);
});
