/** A sign-up that ended before LIMITED leaves its phone free and nothing of the person behind. */
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';

let app: TestApp;
let sql: postgres.Sql;
beforeAll(async () => {
  app = await createTestApp();
  sql = postgres(app.databaseUrl, { max: 1 });
});
afterAll(async () => {
  await sql.end();
  await app.close();
});

const PASSWORD = 'Correct-Horse-42-Staple';

async function upToPassword(phone: string) {
  const opened = await app.call('POST', '/v1/auth/signup/phone', { body: { phone } });
  expect(opened.status).toBe(200);
  const verified = await app.call('POST', '/v1/auth/signup/verify-otp', {
    body: { phone, otp: '000000', flow_token: opened.body.flow_token },
  });
  expect(verified.body).toMatchObject({ state: 'UNVERIFIED.preuser_created' });
  const set = await app.call('POST', '/v1/auth/signup/set-password', {
    body: { password: PASSWORD, flow_token: verified.body.flow_token },
  });
  expect(set.body).toMatchObject({ state: 'UNVERIFIED.credentials_set' });
  return { flowId: set.body.flow_id as string, token: set.body.flow_token as string };
}

const leftOf = async (flowId: string) => {
  const [row] = await sql`
    select a.status, (select count(*)::int from credentials c where c.account_id = a.id) as credentials,
           (select count(*)::int from contacts c where c.account_id = a.id) as contacts
    from flows f join accounts a on a.id = f.account_id where f.id = ${flowId}`;
  return row;
};

test('given up: the phone starts over, the password is gone', async () => {
  const phone = '+919876543210';
  const { flowId, token } = await upToPassword(phone);
  const ended = await app.call('DELETE', '/v1/auth/signup', { token });
  expect(ended.body).toMatchObject({ state: 'abandoned' });
  expect(await leftOf(flowId)).toEqual({ status: 'archived', credentials: 0, contacts: 0 });
  app.clock.advance(60_000);
  await upToPassword(phone);
});

test('expired: the sweeper ends it, the phone starts over', async () => {
  const phone = '+919876543211';
  const { flowId } = await upToPassword(phone);
  app.clock.advance(31 * 86_400_000);
  await app.relay.drain();
  expect(await leftOf(flowId)).toEqual({ status: 'archived', credentials: 0, contacts: 0 });
  await upToPassword(phone);
});
