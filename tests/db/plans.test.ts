/** Every statement of requests, relay and sweepers finds its rows by an index: on a large table a scan would hold a lane up. */
import { expect, test } from 'vitest';
import { login, PASSWORD } from '../routes/people.ts';
import type { TestApp } from '../support/app.ts';
import { giveEmail } from '../support/people.ts';
import { enrolTotp, nextCode } from '../support/second-factor.ts';
import { BASE, freshAccess, linked, proveSecondFactor, tradingApp } from '../support/trading.ts';

type Client = { unsafe(text: string, ...more: unknown[]): PromiseLike<unknown> };

/** Few rows by nature, and read whole on purpose. */
const READ_WHOLE = /"signing_keys"|__drizzle_migrations/;

/** Notes each text that goes to a client from now on. */
function noted(client: Client, texts: Set<string>): void {
  const send = client.unsafe;
  client.unsafe = (text, ...more) => {
    texts.add(text);
    return send.call(client, text, ...more);
  };
}

/** What the server would do for any parameters. */
async function planOf(client: Client, text: string): Promise<string> {
  const many = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, nth]) => Number(nth)));
  const nulls = many === 0 ? '' : `(${Array(many).fill('null').join(', ')})`;
  const steps = `prepare planned as ${text}; explain (costs off) execute planned${nulls}; deallocate planned`;
  const [, plan] = (await client.unsafe(steps)) as { 'QUERY PLAN': string }[][];
  return (plan ?? []).map((line) => line['QUERY PLAN']).join('\n');
}

async function everyday(app: TestApp, kite: Parameters<typeof linked>[1]): Promise<void> {
  const done = async (status: number, ...asked: Parameters<TestApp['call']>) => {
    const answer = await app.call(...asked);
    expect(`${asked[1]} ${answer.status}`).toBe(`${asked[1]} ${status}`);
    return answer.body;
  };
  const [owner, member] = [await linked(app, kite), await linked(app, kite)];
  await giveEmail(app, owner.userId, 'plans@example.com');
  const one = `${BASE}/${owner.id}`;
  const mine = { token: owner.access };
  await done(200, 'POST', `${one}/verify`, mine);
  await done(200, 'GET', BASE, mine);
  const invited = await done(201, 'POST', `${one}/shares`, {
    ...mine,
    body: { user_id: member.userId, access: 'view' },
  });
  await done(200, 'GET', `${BASE}/invitations`, { token: member.access });
  await done(200, 'POST', `${BASE}/invitations/${invited.share_id}/accept`, { token: member.access });
  await done(200, 'GET', one, { token: member.access });
  await done(200, 'GET', `${one}/shares`, mine);

  await done(200, 'POST', '/v1/mfa/totp/setup', { token: await freshAccess(app, member.userId) });
  const { secret } = await enrolTotp(app, await freshAccess(app, owner.userId));
  app.clock.advance(2000);
  await proveSecondFactor(app, owner);
  await done(200, 'POST', `${one}/reveal`, { token: owner.access });
  await done(200, 'GET', '/v1/mfa/status', { token: owner.access });
  await done(200, 'GET', '/v1/auth/sessions', { token: owner.access });
  const held = await login(app, owner.phone, 'a-new-device');
  await done(200, 'POST', '/v1/auth/mfa/verify', {
    body: { session_token: held.body.flow_token, code: nextCode(app, secret) },
  });
  await app.call('POST', '/v1/auth/login', { body: { username: member.phone, password: PASSWORD } });
  await app.relay.drain();
  await done(200, 'DELETE', one, { token: await freshAccess(app, owner.userId, 'aal2') });
  app.clock.advance(25 * 3_600_000);
  await app.relay.drain();
}

test('no statement of a person’s everyday reads a table whole', async () => {
  const { app, kite, close } = await tradingApp();
  try {
    const { db } = app.services;
    const reads = (db.reads as unknown as { $client: Client }).$client;
    const writes = db.writes as unknown as Client;
    const texts = new Set<string>();
    noted(reads, texts);
    noted(writes, texts);
    await everyday(app, kite);
    expect(texts.size).toBeGreaterThan(40);
    const whole: string[] = [];
    for (const text of texts) {
      if (READ_WHOLE.test(text) || !/^\W*(select|with|insert|update|delete)\b/i.test(text)) continue;
      const plan = await planOf(reads, text);
      const [scan] = plan.match(/Seq Scan on \w+/) ?? [];
      if (scan) whole.push(`${scan}: ${text.replace(/\s+/g, ' ').slice(0, 200)}`);
    }
    expect(whole).toEqual([]);
  } finally {
    await close();
  }
});
