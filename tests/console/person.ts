/** A person who walks through the API, for tests that watch it from the console. */
import { freshPhone, type TestApp } from '../support/app.ts';
import { type Call, signUpTo } from '../support/sign-up.ts';

export const PASSWORD = 'Canary-Passw0rd-99';
export const STREET = '7 Canary Wharf Lane';

const UNTIL = {
  code: 'code_sent',
  verified: 'preuser_created',
  password: 'credentials_set',
  limited: 'LIMITED',
  full: 'LIMITED',
};

/** A sign-up up to `until`; answers its flow id and what the person holds. */
export async function signUp(
  app: TestApp,
  until: keyof typeof UNTIL,
  { phone = freshPhone(), headers = {} }: { phone?: string; headers?: Record<string, string> } = {},
) {
  const call: Call = (method, url, options) =>
    app.call(method, url, { ...options, headers, remoteAddress: address() });
  const codeOf = async () => {
    await app.relay.drain();
    return (await app.services.inbox?.latest(phone))?.code ?? '';
  };
  const inputs = {
    password: PASSWORD,
    first_name: 'Canarina',
    last_name: 'Featherstone',
    address: { line1: STREET, city: 'Canaryville', postal_code: 'CA1 4RY', country: 'GB' },
  };
  const { flowId: flow, flowToken, access } = await signUpTo({ call, phone, codeOf, inputs }, UNTIL[until]);
  const person = { phone, flow, token: until === 'code' ? '' : flowToken, access };
  if (until !== 'full') return person;
  const body = { document_type: 'PAN', document_number: `ABCDE${1000 + next}F` };
  const submitted = await call('POST', '/v1/kyc', { body, token: access });
  if (submitted.status !== 202) throw new Error(`no KYC: ${JSON.stringify(submitted.body)}`);
  await app.relay.drain();
  return person;
}

let next = 1;
/** Every request from a network of its own, so that limits stay out of the way. */
export const address = (): string => {
  next++;
  return `10.${(next >> 16) & 255}.${(next >> 8) & 255}.${next & 255}`;
};
