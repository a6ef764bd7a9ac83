/** A person at the public API, outside demo mode: whoever holds the master key knows the codes that were sent. */
import { codeFor } from '../../src/kernel/crypto/codes.ts';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import type { Answer } from './replica.ts';

export type Call = (
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  options?: { body?: unknown; token?: string | undefined },
) => Promise<Pick<Answer, 'status' | 'body'>>;

export const PASSWORD = 'Correct-Horse-9-Battery';
export const PIN = '482915';
export const PROFILE = { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' };
/** The local KYC adapter verifies any number it does not reserve; each account needs its own. */
export const document = (n: number) => ({
  document_type: 'PAN',
  document_number: `ABCDE${String(n).padStart(4, '0')}F`,
});

let next = Math.floor(Math.random() * 90_000);
/** A valid mobile number nobody else in this process uses. */
export const mobile = (): string => {
  next = (next + 1) % 100_000;
  return `+9198765${String(next).padStart(5, '0')}`;
};

/** Derives the code of a flow's n-th send. */
export function codes(masterKey: Buffer) {
  const key = createKeyring(masterKey).key('code');
  return (flowId: string, purpose: 'signup' | 'login' | 'email' | 'contact', counter = 1): string =>
    codeFor(key, { flowId, purpose, counter });
}

/** Six digits that are not the code. */
export const wrong = (code: string, n = 0): string =>
  String((Number(code) + 1 + n) % 1_000_000).padStart(6, '0');

/** Fails with the whole answer when it is not what the way needs. */
function good(answer: Pick<Answer, 'status' | 'body'>, ...wanted: number[]) {
  if (!wanted.includes(answer.status))
    throw new Error(`${answer.status} instead of ${wanted}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

export type Codes = ReturnType<typeof codes>;
export type SignedUp = { phone: string; flowId: string; flowToken: string; access: string; refresh: string };

/** From a phone to the sign-up state a test begins with. */
export async function signUpTo(
  call: Call,
  codeOf: Codes,
  until: 'code_sent' | 'preuser_created' | 'credentials_set' | 'LIMITED',
  options: { phone?: string; pin?: string; deviceId?: string } = {},
): Promise<SignedUp> {
  const phone = options.phone ?? mobile();
  const started = good(await call('POST', '/v1/auth/signup/phone', { body: { phone } }), 200);
  const at = { phone, flowId: started.flow_id as string, access: '', refresh: '' };
  if (until === 'code_sent') return { ...at, flowToken: started.flow_token };
  const otp = codeOf(at.flowId, 'signup');
  const verified = good(
    await call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp }, token: started.flow_token }),
    200,
  );
  const flowToken = verified.flow_token as string;
  if (until === 'preuser_created') return { ...at, flowToken };
  const password = { password: PASSWORD, ...(options.pin ? { pin: options.pin } : {}) };
  good(await call('POST', '/v1/auth/signup/set-password', { body: password, token: flowToken }), 200);
  if (until === 'credentials_set') return { ...at, flowToken };
  const profile = { ...PROFILE, ...(options.deviceId ? { device_id: options.deviceId } : {}) };
  const done = good(await call('POST', '/v1/auth/signup/profile', { body: profile, token: flowToken }), 200);
  return { ...at, flowToken, access: done.access_token, refresh: done.refresh_token };
}

/** Opens a login by phone; its code is the first of the flow. */
export async function sendLoginCode(call: Call, codeOf: Codes, phone: string) {
  const sent = good(await call('POST', '/v1/auth/send-otp', { body: { phone } }), 200);
  return {
    flowId: sent.flow_id as string,
    flowToken: sent.flow_token as string,
    otp: codeOf(sent.flow_id, 'login'),
  };
}
