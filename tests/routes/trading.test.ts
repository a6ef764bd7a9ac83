/** Trading accounts over HTTP against the Kite stand-in: linked, verified, rotated, revealed, unlinked; masked everywhere else. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestApp } from '../support/app.ts';
import type { KiteServer } from '../support/kite-server.ts';
import { query } from '../support/people.ts';
import { BASE, brokerUser, freshAccess, linked, proveSecondFactor, tradingApp } from '../support/trading.ts';
import { expectProblem, full, limited } from './people.ts';

let app: TestApp;
let kite: KiteServer;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ app, kite, close } = await tradingApp());
});
afterAll(() => close());
beforeEach(() => {
  kite.trouble = null;
  kite.troubles.length = 0;
});

const down = { status: 503 };
const get = async (token: string, path: string) => app.call('GET', `${BASE}${path}`, { token });
const post = (token: string, path: string, body: object | undefined = undefined, headers = {}) =>
  app.call('POST', `${BASE}${path}`, { token, headers, ...(body ? { body } : {}) });
const rowOf = async (id: string) =>
  (await query<Record<string, unknown>>(app, 'select * from trading_accounts where id = $1', [id]))[0]!;
const eventsOf = async (userId: string): Promise<string[]> =>
  (
    await query<{ type: string }>(
      app,
      "select payload ->> 'type' as type from outbox where account_id = $1 and topic = 'event' order by account_seq",
      [userId],
    )
  ).map(({ type }) => type);
/** 06:00 in Asia/Kolkata has come, and the check after it. */
async function nextMorning(): Promise<void> {
  app.clock.advance(24 * 3_600_000 + 31 * 60_000);
  await app.relay.drain();
}

describe('linking', () => {
  test('by an access token verifies it and answers masked; the row holds no credential', async () => {
    const mine = await linked(app, kite);
    const one = await get(mine.access, `/${mine.id}`);
    expect(one).toMatchObject({
      status: 200,
      body: {
        owner_id: mine.userId,
        broker: 'kite',
        broker_user_id: `••••${mine.brokerUserId.slice(-2)}`,
        account_name: 'Long term',
        api_key: `••••${mine.apiKey.slice(-4)}`,
        status: 'active',
        reason: null,
        credentials_valid: true,
        last_check: { outcome: 'valid' },
        access: 'owner',
      },
    });
    expect(new Date(one.body.token_expires_at).toISOString()).toMatch(/T00:30:00.000Z$/);
    const stored = JSON.stringify(await rowOf(mine.id));
    for (const secret of [mine.apiKey, mine.apiSecret, mine.accessToken]) {
      expect(one.text).not.toContain(secret);
      expect(stored).not.toContain(secret);
    }
    expect(await eventsOf(mine.userId)).toContain('trading_account.linked');
  });

  test('by a request token exchanges it once', async () => {
    const owner = await full(app);
    const kiteApp = kite.app();
    const body = {
      broker: 'kite',
      broker_user_id: brokerUser().toLowerCase(),
      api_key: kiteApp.apiKey,
      api_secret: kiteApp.apiSecret,
    };
    const request_token = kite.login(kiteApp, body.broker_user_id.toUpperCase());
    const answer = await post(owner.access, '/link', { ...body, request_token });
    expect(answer).toMatchObject({ status: 201, body: { status: 'active', state: 'active' } });
    expect(answer.body.next.map((a: { event: string }) => a.event).sort()).toEqual([
      'CHECKED',
      'ROTATED',
      'UNLINKED',
    ]);
    expect(answer.body.next.map((a: { href: string }) => a.href)).toContain(
      `${BASE}/${answer.body.trading_account_id}/verify`,
    );
  });

  test('without a token waits for one; a verification is refused until then', async () => {
    const owner = await full(app);
    const kiteApp = kite.app();
    const id = brokerUser();
    const answer = await post(owner.access, '/link', {
      broker: 'kite',
      broker_user_id: id,
      api_key: kiteApp.apiKey,
      api_secret: kiteApp.apiSecret,
    });
    expect(answer.body).toMatchObject({
      status: 'pending_verification',
      reason: 'no_access_token',
      credentials_valid: null,
    });
    const path = `/${answer.body.trading_account_id}`;
    expectProblem(await post(owner.access, `${path}/verify`), 409, 'event_refused');
    const rotated = await post(owner.access, `${path}/rotate-credentials`, {
      access_token: kite.grant(kiteApp, id),
    });
    expect(rotated.body).toMatchObject({ status: 'active', valid: true });
  });

  test('is refused for a wrong token, a token of another user, a broker that is down or not served; nothing is stored', async () => {
    const owner = await full(app);
    const kiteApp = kite.app();
    const body = {
      broker: 'kite',
      broker_user_id: brokerUser(),
      api_key: kiteApp.apiKey,
      api_secret: kiteApp.apiSecret,
    };
    const wrong = { ...body, access_token: 'wrong-token' };
    expectProblem(await post(owner.access, '/link', wrong), 422, 'broker_rejected');
    const foreign = { ...body, access_token: kite.grant(kiteApp, 'ZZ9999') };
    expectProblem(await post(owner.access, '/link', foreign), 422, 'broker_rejected');
    expectProblem(
      await post(owner.access, '/link', { ...foreign, broker: 'paper' }),
      400,
      'validation_failed',
    );
    kite.trouble = down;
    expectProblem(await post(owner.access, '/link', wrong), 503, 'dependency_unavailable');
    kite.trouble = { status: 429, headers: { 'retry-after': '77' } };
    const limitedAnswer = await post(owner.access, '/link', wrong);
    expectProblem(limitedAnswer, 503, 'dependency_unavailable');
    expect(limitedAnswer.headers['retry-after']).toBe('77');
    expect((await get(owner.access, '')).body.total_accounts).toBe(0);
    expect(await query(app, 'select 1 from trading_accounts where owner_id = $1', [owner.userId])).toEqual(
      [],
    );
  });

  test('the same account twice is a conflict, again after it was unlinked is not', async () => {
    const mine = await linked(app, kite);
    const body = {
      broker: 'kite',
      broker_user_id: mine.brokerUserId,
      api_key: mine.apiKey,
      api_secret: mine.apiSecret,
      access_token: mine.accessToken,
    };
    expectProblem(await post(mine.access, '/link', body), 409, 'conflict');
    await app.call('DELETE', `${BASE}/${mine.id}`, { token: mine.access });
    const again = await post(mine.access, '/link', { ...body, access_token: undefined });
    expect(again.status).toBe(201);
    expect(again.body.trading_account_id).not.toBe(mine.id);
  });

  test('with an idempotency key has its effect once and is answered alike', async () => {
    const owner = await full(app);
    const kiteApp = kite.app();
    const brokerUserId = brokerUser();
    const body = {
      broker: 'kite',
      broker_user_id: brokerUserId,
      api_key: kiteApp.apiKey,
      api_secret: kiteApp.apiSecret,
      request_token: kite.login(kiteApp, brokerUserId),
    };
    const keyed = { 'idempotency-key': randomUUID() };
    const first = await post(owner.access, '/link', body, keyed);
    const second = await post(owner.access, '/link', body, keyed);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect((await get(owner.access, '')).body.total_accounts).toBe(1);
  });

  test.each([
    ['an unknown key', { extra: 1 }],
    ['both tokens', { access_token: 'aaaa', request_token: 'bbbb' }],
    ['a key with spaces', { api_key: 'a b c d' }],
    ['an id with other characters', { broker_user_id: "AB'; --" }],
    ['another broker', { broker: 'robinhood' }],
    ['a key of another type', { api_key: 12345 }],
  ])('with %s is a 400 that repeats no value', async (_name, wrong) => {
    const owner = await full(app);
    const good = {
      broker: 'kite',
      broker_user_id: 'AB1234',
      api_key: 'planted-key',
      api_secret: 'planted-secret',
    };
    const answer = await post(owner.access, '/link', { ...good, ...wrong });
    expectProblem(answer, 400, 'validation_failed');
    expect(answer.text).not.toMatch(/planted/);
  });
});

describe('who may', () => {
  test('LIMITED accounts may not, strangers find nothing', async () => {
    const [mine, stranger, beginner] = [await linked(app, kite), await full(app), await limited(app)];
    expectProblem(await get(beginner.access, ''), 403, 'insufficient_scope');
    const paths = ['', '/status', '/verify', '/rotate-credentials', '/reveal'];
    for (const path of paths) {
      const method = path === '' || path === '/status' ? 'GET' : 'POST';
      const body = path === '/rotate-credentials' ? { body: { access_token: 'aaaa' } } : {};
      const url = `${BASE}/${mine.id}${path}`;
      expectProblem(await app.call(method, url, { token: stranger.access, ...body }), 404, 'not_found');
      expectProblem(
        await app.call(method, url, { token: beginner.access, ...body }),
        403,
        'insufficient_scope',
      );
      expectProblem(await app.call(method, url, body), 401, 'unauthenticated');
    }
    expectProblem(
      await app.call('DELETE', `${BASE}/${mine.id}`, { token: stranger.access }),
      404,
      'not_found',
    );
    expect((await get(mine.access, `/${mine.id}/status`)).body.status).toBe('active');
  });
});

describe('changing', () => {
  test('takes a name and preferences, no credential', async () => {
    const mine = await linked(app, kite);
    const patch = (body: object) => app.call('PATCH', `${BASE}/${mine.id}`, { token: mine.access, body });
    const changed = await patch({ nickname: 'Options', preferences: { 'alerts.daily': true } });
    expect(changed.body).toMatchObject({ account_name: 'Options', preferences: { 'alerts.daily': true } });
    expect((await patch({ account_name: null })).body.account_name).toBeNull();
    for (const body of [
      {},
      { api_key: 'planted' },
      { status: 'active' },
      { nickname: 'a', account_name: 'b' },
    ])
      expectProblem(await patch(body), 400, 'validation_failed');
  });
});

describe('verifying', () => {
  test('before 06:00 a refusal means a wrong key, after it an ended token', async () => {
    const [early, late] = [await linked(app, kite), await linked(app, kite)];
    kite.end(early.accessToken);
    const verified = await post(early.access, `/${early.id}/verify`);
    expect(verified).toMatchObject({
      status: 200,
      body: { status: 'error', reason: 'credentials_rejected', valid: false },
    });
    kite.end(late.accessToken);
    const end = Date.parse((await get(late.access, `/${late.id}/status`)).body.token_expires_at);
    app.clock.advance(end - app.clock.now());
    late.access = await freshAccess(app, late.userId);
    expect((await get(late.access, `/${late.id}/status`)).body).toMatchObject({
      status: 'active',
      credentials_valid: null,
    });
    const expired = await post(late.access, `/${late.id}/verify`);
    expect(expired.body).toMatchObject({
      status: 'credentials_expired',
      reason: 'token_expired',
      valid: false,
    });
  });

  test('a broker that is down changes no state, only the last check, and is a 503', async () => {
    const mine = await linked(app, kite);
    kite.trouble = down;
    expectProblem(await post(mine.access, `/${mine.id}/verify`), 503, 'dependency_unavailable');
    kite.trouble = null;
    expect((await get(mine.access, `/${mine.id}/status`)).body).toMatchObject({
      status: 'active',
      credentials_valid: true,
      last_check: { outcome: 'unreachable' },
    });
  });

  test('the sweeper asks after 06:00, and what Kite has ended is expired without anybody asking', async () => {
    const mine = await linked(app, kite);
    kite.end(mine.accessToken);
    await nextMorning();
    mine.access = await freshAccess(app, mine.userId);
    expect((await get(mine.access, `/${mine.id}/status`)).body).toMatchObject({
      status: 'credentials_expired',
      reason: 'token_expired',
    });
    expect(await eventsOf(mine.userId)).toContain('trading_account.credentials_expired');
    const again = await post(mine.access, `/${mine.id}/rotate-credentials`, {
      request_token: kite.login(mine, mine.brokerUserId),
    });
    expect(again.body).toMatchObject({ status: 'active', valid: true });
  });

  test('while the broker is down after 06:00 nothing is decided; it is asked again until it answers', async () => {
    const mine = await linked(app, kite);
    kite.trouble = down;
    await nextMorning();
    mine.access = await freshAccess(app, mine.userId);
    expect((await get(mine.access, `/${mine.id}/status`)).body).toMatchObject({
      status: 'active',
      credentials_valid: null,
      last_check: { outcome: 'unreachable' },
    });
    kite.trouble = null;
    kite.end(mine.accessToken);
    app.clock.advance(16 * 60_000);
    await app.relay.drain();
    mine.access = await freshAccess(app, mine.userId);
    expect((await get(mine.access, `/${mine.id}/status`)).body.status).toBe('credentials_expired');
  });

  test('checks are spread over half an hour after 06:00', async () => {
    const owner = await full(app);
    for (let i = 0; i < 12; i++) await linked(app, kite, owner);
    const rows = await query<{ due: Date }>(
      app,
      `select f.next_due_at as due from flows f join trading_accounts t on t.flow_id = f.id where t.owner_id = $1`,
      [owner.userId],
    );
    const after = rows.map(({ due }) => (due.getTime() - 30 * 60_000) % 86_400_000);
    for (const ms of after) expect(ms).toBeLessThan(30 * 60_000);
    expect(new Set(after).size).toBeGreaterThan(6);
  });
});

describe('rotating', () => {
  test('replaces credentials under a new data key; what was stored before is gone', async () => {
    const mine = await linked(app, kite);
    const before = await rowOf(mine.id);
    const fresh = kite.app();
    const answer = await post(mine.access, `/${mine.id}/rotate-credentials`, {
      api_key: fresh.apiKey,
      api_secret: fresh.apiSecret,
      access_token: kite.grant(fresh, mine.brokerUserId),
    });
    expect(answer).toMatchObject({ status: 200, body: { status: 'active', valid: true } });
    const after = await rowOf(mine.id);
    expect(after.key_version).toBe(2);
    for (const column of ['wrapped_key', 'key_check']) expect(after[column]).not.toBe(before[column]);
    expect(after.api_key_last4).toBe(fresh.apiKey.slice(-4));
    expect(await eventsOf(mine.userId)).toContain('trading_account.credentials_updated');
  });

  test('keeps the earlier ones when the broker refuses the new ones or is down', async () => {
    const mine = await linked(app, kite);
    const before = await rowOf(mine.id);
    const rotate = (body: object) => post(mine.access, `/${mine.id}/rotate-credentials`, body);
    expectProblem(await rotate({ access_token: 'wrong-token' }), 422, 'broker_rejected');
    const foreign = kite.grant(mine, 'ZZ0000');
    expectProblem(await rotate({ access_token: foreign }), 422, 'broker_rejected');
    kite.trouble = 'cut';
    expectProblem(await rotate({ access_token: mine.accessToken }), 503, 'dependency_unavailable');
    kite.trouble = null;
    expect(await rowOf(mine.id)).toEqual(before);
    expect((await post(mine.access, `/${mine.id}/verify`)).body.valid).toBe(true);
  });

  test('a new key without a token waits for one: the old token was issued for the old key', async () => {
    const mine = await linked(app, kite);
    const answer = await post(mine.access, `/${mine.id}/rotate-credentials`, { api_key: kite.app().apiKey });
    expect(answer.body).toMatchObject({ status: 'pending_verification', reason: 'no_access_token' });
    expect(Object.keys((await rowOf(mine.id)).sealed_fields as object).sort()).toEqual([
      'api_key',
      'api_secret',
    ]);
  });
});

describe('revealing', () => {
  const reveal = (token: string, id: string, headers = {}) =>
    post(token, `/${id}/reveal`, undefined, headers);

  test('needs a second factor proven within five minutes', async () => {
    const mine = await linked(app, kite);
    expectProblem(await reveal(mine.access, mine.id), 403, 'factor_required');
    await proveSecondFactor(app, mine, app.clock.now() - 301_000);
    const stale = await reveal(mine.access, mine.id);
    expectProblem(stale, 401, 'step_up_required');
    expect(stale.headers['www-authenticate']).toMatch(
      /^Bearer error="insufficient_user_authentication".*acr_values="aal2".*max_age="300"/,
    );
    await proveSecondFactor(app, mine);
    const shown = await reveal(mine.access, mine.id);
    expect(shown).toMatchObject({
      status: 200,
      body: {
        trading_account_id: mine.id,
        api_key: mine.apiKey,
        api_secret: mine.apiSecret,
        access_token: mine.accessToken,
      },
    });
    expect(shown.headers['cache-control']).toBe('no-store');
    const audit = await query(
      app,
      `select data from audit_events where account_id = $1 and type = 'trading_account.credentials_revealed'`,
      [mine.userId],
    );
    expect(audit).toEqual([{ data: { trading_account_id: mine.id } }]);
  });

  test('keeps no second copy of the answer, whatever key the request carries', async () => {
    const mine = await linked(app, kite);
    await proveSecondFactor(app, mine);
    const count = async () => (await query(app, 'select 1 from idempotency_records')).length;
    const before = await count();
    const keyed = { 'idempotency-key': randomUUID() };
    for (let i = 0; i < 2; i++) expect((await reveal(mine.access, mine.id, keyed)).status).toBe(200);
    expect(await count()).toBe(before);
  });

  test.each([
    [
      'another account’s data key',
      `wrapped_key = o.wrapped_key, wrapping_key = o.wrapping_key, key_check = o.key_check`,
    ],
    ['another account’s ciphertexts', 'sealed_fields = o.sealed_fields'],
    [
      'all that is sealed of another account',
      'wrapped_key = o.wrapped_key, key_check = o.key_check, sealed_fields = o.sealed_fields',
    ],
    [
      'swapped fields',
      `sealed_fields = jsonb_build_object('api_key', t.sealed_fields -> 'api_secret', 'api_secret', t.sealed_fields -> 'api_key')`,
    ],
    ['another owner', 'owner_id = t.owner_id, key_version = t.key_version + 1'],
    [
      'a truncated ciphertext',
      `sealed_fields = t.sealed_fields || jsonb_build_object('api_key', left(t.sealed_fields ->> 'api_key', 20))`,
    ],
    ['a missing field', `sealed_fields = t.sealed_fields - 'api_secret'`],
    ['a master key that is not here', `wrapping_key = 'local:99'`],
    ['no data key', 'wrapped_key = null'],
  ])('refuses %s with an alarm and without a byte of it', async (_name, change) => {
    const [mine, other] = [await linked(app, kite), await linked(app, kite)];
    await proveSecondFactor(app, mine);
    await query(
      app,
      `update trading_accounts t set ${change} from trading_accounts o where t.id = $1 and o.id = $2`,
      [mine.id, other.id],
    );
    const answer = await reveal(mine.access, mine.id);
    expectProblem(answer, 409, 'credentials_unreadable');
    for (const secret of [mine.apiKey, mine.apiSecret, other.apiKey, other.apiSecret])
      expect(answer.text).not.toContain(secret);
    const alarms = await query(
      app,
      `select outcome from audit_events where account_id = $1 and type = 'trading_account.credentials_unreadable'`,
      [mine.userId],
    );
    expect(alarms).toEqual([{ outcome: 'failure' }]);
  });
});

describe('unlinking', () => {
  test('destroys credentials and data key in the same commit, ends the token at the broker, tells once', async () => {
    const mine = await linked(app, kite);
    await post(mine.access, `/${mine.id}/verify`);
    const answer = await app.call('DELETE', `${BASE}/${mine.id}`, { token: mine.access });
    expect(answer.body).toMatchObject({ trading_account_id: mine.id, memberships_revoked: 0 });
    expect(await rowOf(mine.id)).toMatchObject({
      wrapped_key: null,
      wrapping_key: null,
      key_check: null,
      api_key_last4: null,
      sealed_fields: {},
    });
    expect(kite.knows(mine.accessToken)).toBe(false);
    expect((await eventsOf(mine.userId)).filter((type) => type === 'trading_account.unlinked')).toHaveLength(
      1,
    );
    expectProblem(await get(mine.access, `/${mine.id}`), 404, 'not_found');
    expectProblem(await app.call('DELETE', `${BASE}/${mine.id}`, { token: mine.access }), 404, 'not_found');
  });

  test('does not wait for a broker that is down', async () => {
    const mine = await linked(app, kite);
    kite.trouble = down;
    expect((await app.call('DELETE', `${BASE}/${mine.id}`, { token: mine.access })).status).toBe(200);
  });
});

describe('the account', () => {
  test('lists its linked accounts masked, and unlinks them when it is deleted', async () => {
    const mine = await linked(app, kite);
    await linked(app, kite, mine);
    const me = await app.call('GET', '/v1/users/me', { token: mine.access });
    expect(
      me.body.trading_accounts.map((t: { trading_account_id: string }) => t.trading_account_id),
    ).toContain(mine.id);
    expect(me.body.trading_accounts).toHaveLength(2);
    expect(me.text).not.toContain(mine.apiKey);
    const deleted = await app.call('DELETE', '/v1/users/me', {
      token: mine.access,
      body: { password: 'StrongPassword@123' },
    });
    expect(deleted).toMatchObject({ status: 200, body: { trading_accounts_unlinked: 2 } });
    expect(await rowOf(mine.id)).toMatchObject({ wrapped_key: null, sealed_fields: {} });
    expect((await eventsOf(mine.userId)).filter((type) => type === 'trading_account.unlinked')).toHaveLength(
      2,
    );
    await app.services.users.erase(mine.userId);
    expect(await rowOf(mine.id)).toMatchObject({ broker_user_id: '', account_name: null, preferences: {} });
    kite.endAll();
    await nextMorning();
  });
});
