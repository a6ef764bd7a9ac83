/** People in the states tests start from, made through the API as a client would. */
import postgres from 'postgres';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { freshPhone, type TestApp } from './app.ts';

export const PASSWORD = 'StrongPassword@123';
export const PIN = '482915';

export type Person = {
  phone: string;
  userId: string;
  sessionId: string;
  accessToken: string;
  refreshToken: string;
  flowId: string;
};

/** A LIMITED account with password, PIN and one known device (`device-one`). */
export async function limitedPerson(app: TestApp, phone = freshPhone()): Promise<Person> {
  await app.call('POST', '/v1/auth/signup/phone', { body: { phone } });
  const verified = await app.call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: '000000' } });
  const token = verified.body.temp_token;
  await app.call('POST', '/v1/auth/signup/set-password', { token, body: { password: PASSWORD, pin: PIN } });
  const done = await app.call('POST', '/v1/auth/signup/profile', {
    token,
    body: {
      first_name: 'Ada',
      last_name: 'Byron',
      date_of_birth: '1990-12-10',
      device_id: 'device-one',
    },
  });
  if (!done.body.access_token) throw new Error(`no LIMITED account: ${done.text}`);
  return {
    phone,
    userId: done.body.user_id,
    sessionId: done.body.session_id,
    accessToken: done.body.access_token,
    refreshToken: done.body.refresh_token,
    flowId: done.body.flow_id,
  };
}

/** One statement on the test's database, for what no route shows. */
export async function query<T extends object = Record<string, unknown>>(
  app: TestApp,
  text: string,
  params: unknown[] = [],
): Promise<T[]> {
  const sql = postgres(app.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    return (await sql.unsafe(text, params as never[])) as unknown as T[];
  } finally {
    await sql.end();
  }
}

/** Gives the account a verified address, as a finished verification would have. */
export async function giveEmail(app: TestApp, userId: string, email: string): Promise<void> {
  const id = createKeyring(app.secrets.masterKey).lookupId('email', email);
  await query(
    app,
    `insert into contacts (id, type, canonical, value, account_id, verified_at, created_at)
     values ($1, 'email', $2, $2, $3, now(), now())`,
    [id, email, userId],
  );
}
