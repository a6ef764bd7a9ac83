/** Trading accounts over two replicas: whatever happens at once, a link exists once, holds one set of credentials, and ends for good. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { full } from '../routes/people.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import type { KiteServer } from '../support/kite-server.ts';
import { query } from '../support/people.ts';
import { BASE, brokerUser, kiteEnv, linked, proveSecondFactor, tradingApp } from '../support/trading.ts';

let one: TestApp;
let two: TestApp;
let kite: KiteServer;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ app: one, kite, close } = await tradingApp());
  const same = { databaseUrl: one.databaseUrl, secrets: one.secrets };
  two = await createTestApp({ ...same, env: { ...kiteEnv(kite), LIMIT_REVEAL: '1000/1h' } });
});
afterAll(async () => {
  await two.close();
  await close();
});

type Answer = Awaited<ReturnType<TestApp['call']>>;
/** Fifty requests at once, every other one at the other replica. */
const fifty = (send: (app: TestApp, index: number) => Promise<Answer>): Promise<Answer[]> =>
  Promise.all(Array.from({ length: 50 }, (_, i) => send(i % 2 ? one : two, i)));
const counts = (answers: Answer[]): Record<number, number> => {
  const found: Record<number, number> = {};
  for (const { status } of answers) found[status] = (found[status] ?? 0) + 1;
  return found;
};

test('fifty links of one broker account make one', async () => {
  const owner = await full(one);
  const kiteApp = kite.app();
  const id = brokerUser();
  const access_token = kite.grant(kiteApp, id);
  const body = {
    broker: 'kite',
    broker_user_id: id,
    api_key: kiteApp.apiKey,
    api_secret: kiteApp.apiSecret,
    access_token,
  };
  const answers = await fifty((app) => app.call('POST', `${BASE}/link`, { token: owner.access, body }));
  expect(counts(answers)).toEqual({ 201: 1, 409: 49 });
  const rows = await query(one, 'select 1 from trading_accounts where owner_id = $1', [owner.userId]);
  const flows = await query(one, "select 1 from flows where account_id = $1 and machine = 'trading_link'", [
    owner.userId,
  ]);
  expect([rows.length, flows.length]).toEqual([1, 1]);
});

test('rotations beside verifications leave one whole set of credentials, the newest that was answered', async () => {
  const mine = await linked(one, kite);
  const fresh = Array.from({ length: 50 }, () => kite.app());
  const answers = await fifty((app, i) =>
    i % 5 === 0
      ? app.call('POST', `${BASE}/${mine.id}/rotate-credentials`, {
          token: mine.access,
          body: {
            api_key: fresh[i]!.apiKey,
            api_secret: fresh[i]!.apiSecret,
            access_token: kite.grant(fresh[i]!, mine.brokerUserId),
          },
        })
      : app.call('POST', `${BASE}/${mine.id}/verify`, { token: mine.access }),
  );
  // 503: the account was locked for longer than a request may wait; nothing was changed then.
  for (const { status } of answers) expect([200, 409, 503]).toContain(status);
  const rotated = answers.filter(({ status }, i) => i % 5 === 0 && status === 200).length;
  expect(rotated).toBeGreaterThan(0);
  const [row] = await query<{ key_version: number; generation: number; state: string }>(
    one,
    `select t.key_version, (f.snapshot -> 'context' ->> 'generation')::int as generation, f.state
     from trading_accounts t join flows f on f.id = t.flow_id where t.id = $1`,
    [mine.id],
  );
  expect(row).toEqual({ key_version: 1 + rotated, generation: 1 + rotated, state: 'active' });
  await proveSecondFactor(one, mine);
  const { body } = await one.call('POST', `${BASE}/${mine.id}/reveal`, { token: mine.access });
  const used = fresh.find(({ apiKey }) => apiKey === body.api_key);
  expect(used?.apiSecret).toBe(body.api_secret);
});

test('a verification of credentials that were replaced meanwhile says nothing about the new ones', async () => {
  const mine = await linked(one, kite);
  kite.end(mine.accessToken);
  let open = () => {};
  kite.gate = new Promise((resolve) => {
    open = resolve;
  });
  const asked = kite.calls.length;
  const verifying = one.call('POST', `${BASE}/${mine.id}/verify`, { token: mine.access });
  while (kite.calls.length === asked) await new Promise((done) => setImmediate(done));
  kite.gate = null;
  const rotated = await two.call('POST', `${BASE}/${mine.id}/rotate-credentials`, {
    token: mine.access,
    body: { access_token: kite.grant(mine, mine.brokerUserId) },
  });
  expect(rotated.status).toBe(200);
  open();
  expect((await verifying).status).toBe(409);
  const status = await one.call('GET', `${BASE}/${mine.id}/status`, { token: mine.access });
  expect(status.body).toMatchObject({ status: 'active', credentials_valid: true });
});

test('an unlinking beside fifty reveals: each shows all or nothing, and none after it', async () => {
  const mine = await linked(one, kite);
  await proveSecondFactor(one, mine);
  const path = `${BASE}/${mine.id}`;
  const [unlinked, ...reveals] = await Promise.all([
    two.call('DELETE', path, { token: mine.access }),
    ...Array.from({ length: 49 }, (_, i) =>
      (i % 2 ? one : two).call('POST', `${path}/reveal`, { token: mine.access }),
    ),
  ]);
  expect([200, 409, 503]).toContain(unlinked.status);
  if (unlinked.status !== 200)
    expect((await two.call('DELETE', path, { token: mine.access })).status).toBe(200);
  for (const { status, body, text } of reveals) {
    if (status === 200) expect(body.api_secret).toBe(mine.apiSecret);
    else {
      expect([404, 409, 503]).toContain(status);
      expect(text).not.toContain(mine.apiSecret);
    }
  }
  for (const app of [one, two]) {
    const after = await app.call('POST', `${path}/reveal`, { token: mine.access });
    expect(after.status).toBe(404);
  }
  const [row] = await query(one, 'select wrapped_key, sealed_fields from trading_accounts where id = $1', [
    mine.id,
  ]);
  expect(row).toEqual({ wrapped_key: null, sealed_fields: {} });
  const shown = await query(
    one,
    `select 1 from audit_events where account_id = $1 and type = 'trading_account.credentials_revealed'`,
    [mine.userId],
  );
  expect(shown).toHaveLength(reveals.filter(({ status }) => status === 200).length);
});

test('an invitation is accepted once by fifty tries, and its account may be unlinked at the same time', async () => {
  const [owner, member] = [await linked(one, kite), await full(one)];
  const { body } = await one.call('POST', `${BASE}/${owner.id}/shares`, {
    token: owner.access,
    body: { user_id: member.userId, access: 'view' },
  });
  const answers = await fifty((app, i) =>
    i === 25
      ? app.call('DELETE', `${BASE}/${owner.id}`, { token: owner.access })
      : app.call('POST', `${BASE}/invitations/${body.share_id}/accept`, { token: member.access }),
  );
  for (const { status } of answers) expect([200, 404, 409]).toContain(status);
  expect(answers.filter(({ status }, i) => i !== 25 && status === 200).length).toBeLessThanOrEqual(1);
  await one.call('DELETE', `${BASE}/${owner.id}`, { token: owner.access });
  const shares = await query(one, 'select status from trading_shares where trading_account_id = $1', [
    owner.id,
  ]);
  expect(shares).toEqual([{ status: 'ended' }]);
});
