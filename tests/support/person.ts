/** A person at the public API, outside demo mode: whoever holds the master key knows the codes that were sent. */
import { codeFor } from '../../src/kernel/crypto/codes.ts';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import type { Call, SignupPerson } from './sign-up.ts';

export type { Call } from './sign-up.ts';

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

export type Codes = ReturnType<typeof codes>;

/** Somebody new, who holds the codes because this process holds the key. */
export const newPerson = (
  call: Call,
  codeOf: Codes,
  { phone = mobile(), ...inputs }: { phone?: string } & Record<string, unknown> = {},
): SignupPerson => ({
  call,
  phone,
  codeOf: (flowId) => codeOf(flowId, 'signup'),
  inputs: { password: PASSWORD, ...inputs },
});

/** Opens a login by phone; its code is the first of the flow. */
export async function sendLoginCode(call: Call, codeOf: Codes, phone: string) {
  const { status, body: sent } = await call('POST', '/v1/auth/send-otp', { body: { phone } });
  if (status !== 200) throw new Error(`no login code: ${status} ${JSON.stringify(sent)}`);
  return {
    flowId: sent.flow_id as string,
    flowToken: sent.flow_token as string,
    otp: codeOf(sent.flow_id, 'login'),
  };
}
