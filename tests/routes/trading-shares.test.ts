/** Sharing of trading accounts: invited, accepted, expired, ended; each act is one commit with an event for both people. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import type { KiteServer } from '../support/kite-server.ts';
import { query } from '../support/people.ts';
import { BASE, freshAccess, kiteEnv, type Linked, linked, tradingApp } from '../support/trading.ts';
import { expectProblem, full, limited, type Person } from './people.ts';

let app: TestApp;
let kite: KiteServer;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ app, kite, close } = await tradingApp());
});
afterAll(() => close());

const call = (
  who: { access: string },
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
) => app.call(method, `${BASE}${path}`, { token: who.access, ...(body ? { body } : {}) });

const invite = (owner: Linked, member: Person, access = 'view', more: object = {}) =>
  call(owner, 'POST', `/${owner.id}/shares`, { user_id: member.userId, access, ...more });
const accept = (member: Person, shareId: string) => call(member, 'POST', `/invitations/${shareId}/accept`);

async function shared(access: string, more: object = {}) {
  const [owner, member] = [await linked(app, kite), await full(app)];
  const { share_id: shareId } = (await invite(owner, member, access, more)).body;
  expect((await accept(member, shareId)).status).toBe(200);
  return { owner, member, shareId };
}
const typesOf = async (userId: string): Promise<string[]> =>
  (
    await query<{ type: string }>(
      app,
      "select payload ->> 'type' as type from outbox where account_id = $1 and payload ->> 'type' like 'trading_account.share%' order by account_seq",
      [userId],
    )
  ).map(({ type }) => type.replace('trading_account.', ''));

describe('an invitation', () => {
  test('is offered to one person, who sees nothing of the account until it is accepted', async () => {
    const [owner, member, stranger] = [await linked(app, kite), await full(app), await full(app)];
    const invited = await invite(owner, member, 'read');
    expect(invited).toMatchObject({ status: 201, body: { status: 'invited' } });
    const shareId = invited.body.share_id;
    expect((await call(member, 'GET', '/invitations')).body.invitations).toMatchObject([
      { share_id: shareId, owner_id: owner.userId, access: 'view', status: 'invited' },
    ]);
    expectProblem(await call(member, 'GET', `/${owner.id}`), 404, 'not_found');
    expectProblem(await accept(stranger, shareId), 404, 'not_found');
    expectProblem(await accept(owner, shareId), 404, 'not_found');
    expect((await accept(member, shareId)).body.status).toBe('active');
    expectProblem(await accept(member, shareId), 404, 'not_found');
    expect((await call(member, 'GET', '')).body).toMatchObject({
      owned_accounts: [],
      shared_accounts: [{ trading_account_id: owner.id, access: 'view' }],
      total_accounts: 1,
    });
    expect(await typesOf(owner.userId)).toEqual(['share_invited', 'share_taken']);
    expect(await typesOf(member.userId)).toEqual(['share_offered', 'share_accepted']);
  });

  test('is refused for oneself, twice, for nobody, for the past, and by anybody but the owner', async () => {
    const { owner, member } = await shared('manage');
    const other = await full(app);
    expectProblem(await invite(owner, owner), 409, 'conflict');
    expectProblem(await invite(owner, member), 409, 'conflict');
    expectProblem(await invite(owner, { ...other, userId: randomUUID() }), 404, 'not_found');
    expectProblem(
      await invite(owner, other, 'view', { access_until: '2020-01-01T00:00:00Z' }),
      400,
      'validation_failed',
    );
    expectProblem(await invite(owner, other, 'own'), 400, 'validation_failed');
    expectProblem(
      await call(member, 'POST', `/${owner.id}/shares`, { user_id: other.userId, access: 'view' }),
      403,
      'access_denied',
    );
    expectProblem(
      await call(other, 'POST', `/${owner.id}/shares`, { user_id: member.userId, access: 'view' }),
      404,
      'not_found',
    );
  });

  test('of a LIMITED person waits until that person is FULL', async () => {
    const [owner, beginner] = [await linked(app, kite), await limited(app)];
    const { share_id: shareId } = (await invite(owner, beginner)).body;
    expectProblem(await accept(beginner, shareId), 403, 'insufficient_scope');
  });

  test('is declined by the member and expires by itself', async () => {
    const [owner, first, second] = [await linked(app, kite), await full(app), await full(app)];
    const declined = (await invite(owner, first)).body.share_id;
    expect((await call(first, 'DELETE', `/${owner.id}/shares/${declined}`)).body.status).toBe('ended');
    expectProblem(await accept(first, declined), 404, 'not_found');
    const late = (await invite(owner, second, 'view', { expires_in_hours: 1 })).body.share_id;
    app.clock.advance(3_600_001);
    second.access = await freshAccess(app, second.userId);
    owner.access = await freshAccess(app, owner.userId);
    expectProblem(await accept(second, late), 404, 'not_found');
    expect((await call(second, 'GET', '/invitations')).body.invitations).toEqual([]);
    await app.relay.drain();
    const rows = await query(app, 'select end_reason from trading_shares where id in ($1, $2) order by id', [
      declined,
      late,
    ]);
    expect(rows).toEqual([{ end_reason: 'declined' }, { end_reason: 'expired' }]);
    expect((await invite(owner, second)).status).toBe(201);
  });
});

describe('access', () => {
  test.each([
    ['view', [200, 200, 403, 403, 403, 403, 403]],
    ['trade', [200, 200, 403, 403, 403, 403, 403]],
    ['manage', [200, 200, 200, 200, 200, 403, 403]],
  ])('to %s allows exactly this', async (access, expected) => {
    const { owner, member } = await shared(access);
    const path = `/${owner.id}`;
    const answers = [
      await call(member, 'GET', path),
      await call(member, 'GET', `${path}/status`),
      await call(member, 'PATCH', path, { nickname: 'Ours' }),
      await call(member, 'POST', `${path}/verify`),
      await call(member, 'POST', `${path}/rotate-credentials`, { access_token: owner.accessToken }),
      await call(member, 'POST', `${path}/reveal`),
      await call(member, 'DELETE', path),
    ];
    expect(answers.map(({ status }) => status)).toEqual(expected);
    for (const { text } of answers) expect(text).not.toContain(owner.apiKey);
    expect((await call(owner, 'GET', `${path}/status`)).body.status).toBe('active');
  });

  test('ends when the owner revokes it, when the member leaves, and when its time is over', async () => {
    const [revoked, left, timed] = [
      await shared('view'),
      await shared('view'),
      await shared('view', { access_until: new Date(app.clock.now() + 7_200_000).toISOString() }),
    ];
    await call(revoked.owner, 'DELETE', `/${revoked.owner.id}/shares/${revoked.shareId}`);
    await call(left.member, 'DELETE', `/${left.owner.id}/shares/${left.shareId}`);
    expect((await call(timed.member, 'GET', `/${timed.owner.id}`)).status).toBe(200);
    app.clock.advance(7_200_001);
    for (const { owner, member } of [revoked, left, timed]) {
      member.access = await freshAccess(app, member.userId);
      expectProblem(await call(member, 'GET', `/${owner.id}`), 404, 'not_found');
      expect((await call(member, 'GET', '')).body.shared_accounts).toEqual([]);
    }
    await app.relay.drain();
    const reasons = await query(app, 'select end_reason from trading_shares where id = any($1) order by id', [
      [revoked.shareId, left.shareId, timed.shareId],
    ]);
    expect(reasons).toEqual([{ end_reason: 'revoked' }, { end_reason: 'left' }, { end_reason: 'expired' }]);
  });

  test('ends by either person while the other one is blocked', async () => {
    const block = (person: Person) =>
      query(app, "update accounts set status = 'blocked' where id = $1", [person.userId]);
    const [revoked, left] = [await shared('trade'), await shared('trade')];
    await block(revoked.member);
    await block(left.owner);
    const end = (who: Person, { owner, shareId }: typeof left) =>
      call(who, 'DELETE', `/${owner.id}/shares/${shareId}`);
    expect((await end(revoked.owner, revoked)).body.status).toBe('ended');
    expect((await end(left.member, left)).body.status).toBe('ended');
    const reasons = await query(app, 'select end_reason from trading_shares where id = any($1) order by id', [
      [revoked.shareId, left.shareId],
    ]);
    expect(reasons).toEqual([{ end_reason: 'revoked' }, { end_reason: 'left' }]);
    expect(await typesOf(revoked.member.userId)).toContain('share_ended');
    expect(await typesOf(left.owner.userId)).toContain('share_ended');
  });

  test('ends with the account: unlinking revokes every share in the same commit and says how many', async () => {
    const { owner, member } = await shared('trade');
    const waiting = await full(app);
    await invite(owner, waiting);
    const unlinked = await call(owner, 'DELETE', `/${owner.id}`);
    expect(unlinked.body.memberships_revoked).toBe(2);
    expectProblem(await call(member, 'GET', `/${owner.id}`), 404, 'not_found');
    expect(await typesOf(member.userId)).toEqual(['share_offered', 'share_accepted', 'share_ended']);
    expect(await typesOf(waiting.userId)).toEqual(['share_offered', 'share_ended']);
    const [step] = await query<{ at: Date }>(
      app,
      "select at from flow_steps where flow_id = $1 and event = 'UNLINKED'",
      [owner.flowId],
    );
    const ended = await query<{ ended_at: Date }>(
      app,
      'select ended_at from trading_shares where trading_account_id = $1',
      [owner.id],
    );
    expect(ended.map(({ ended_at }) => ended_at)).toEqual([step!.at, step!.at]);
  });

  test('ends with the person, on both sides', async () => {
    const [gone, kept] = [await shared('view'), await shared('view')];
    const password = 'StrongPassword@123';
    await app.call('DELETE', '/v1/users/me', { token: gone.owner.access, body: { password } });
    expectProblem(await call(gone.member, 'GET', `/${gone.owner.id}`), 404, 'not_found');
    await app.call('DELETE', '/v1/users/me', { token: kept.member.access, body: { password } });
    expect((await call(kept.owner, 'GET', `/${kept.owner.id}/shares`)).body.shares).toEqual([]);
  });
});

test('with the feature off its routes are not there, and nothing that was shared is', async () => {
  const { owner, member } = await shared('manage');
  const off = await createTestApp({
    databaseUrl: app.databaseUrl,
    secrets: app.secrets,
    env: { ...kiteEnv(kite), FEATURE_SHARED_ACCOUNTS: 'false' },
  });
  off.clock.advance(app.clock.offset());
  try {
    const get = (path: string) => off.call('GET', `${BASE}${path}`, { token: member.access });
    for (const path of [`/${owner.id}/shares`, `/${owner.id}`])
      expectProblem(await get(path), 404, 'not_found');
    expect((await get('')).body).toMatchObject({ shared_accounts: [], total_accounts: 0 });
  } finally {
    await off.close();
  }
});
