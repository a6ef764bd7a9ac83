/** People in the states tests start from, made through the API as a client would. */
import postgres from 'postgres';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { freshPhone, type TestApp } from './app.ts';
import { signUpTo } from './sign-up.ts';

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
  const inputs = { password: PASSWORD, pin: PIN, device_id: 'device-one' };
  const done = await signUpTo({ call: app.call, phone, codeOf: () => '000000', inputs }, 'LIMITED');
  const { userId, sessionId, flowId } = done;
  return { phone, userId, sessionId, accessToken: done.access, refreshToken: done.refresh, flowId };
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
