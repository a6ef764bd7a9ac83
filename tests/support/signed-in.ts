/** Somebody with a session, in demo mode: signed up by a reserved number without a PIN, so that logins ask no step-up. */
import postgres, { type Sql } from 'postgres';
import { freshPhone, type TestApp } from './app.ts';
import { signUpTo } from './sign-up.ts';

export type SignedIn = {
  phone: string;
  userId: string;
  sessionId: string;
  access: string;
  refresh: string;
  headers: Record<string, string | string[] | undefined>;
};

export type LoginOptions = {
  token_transport?: 'body' | 'cookie';
  persist_session?: boolean;
  device_id?: string;
  headers?: Record<string, string>;
};

export const PASSWORD = 'Correct-Horse-9-Battery';

export async function signUp(
  app: TestApp,
  { headers = {}, ...choice }: LoginOptions = {},
): Promise<SignedIn> {
  const phone = freshPhone();
  const { answer } = await signUpTo(
    {
      call: (method, url, options) => app.call(method, url, { ...options, headers }),
      phone,
      codeOf: () => '000000',
      inputs: { password: PASSWORD, ...choice },
    },
    'LIMITED',
  );
  return signedIn(phone, answer as Awaited<ReturnType<TestApp['call']>>);
}

/** Another session of the same person. */
export async function logIn(
  app: TestApp,
  phone: string,
  { headers = {}, ...choice }: LoginOptions = {},
): Promise<SignedIn> {
  app.clock.advance(4000);
  await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
  const body = { phone, otp: '000000', ...choice };
  return signedIn(phone, await app.call('POST', '/v1/auth/verify-otp', { body, headers }));
}

function signedIn(phone: string, answer: Awaited<ReturnType<TestApp['call']>>): SignedIn {
  const { body, headers } = answer;
  if (!body.access_token) throw new Error(`nobody is signed in: ${answer.status} ${answer.text}`);
  return {
    phone,
    userId: body.user_id,
    sessionId: body.session_id,
    access: body.access_token,
    refresh: body.refresh_token,
    headers,
  };
}

/** A look at the rows beside the application. */
export async function onDatabase<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}
