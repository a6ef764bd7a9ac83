/** A person who walks through the API, for tests that watch it from the console. */
import { freshPhone, type TestApp } from '../support/app.ts';

export const PASSWORD = 'Canary-Passw0rd-99';
export const STREET = '7 Canary Wharf Lane';

/** A sign-up up to `until`; answers its flow id and what the person holds. */
export async function signUp(
  app: TestApp,
  until: 'code' | 'verified' | 'password' | 'limited' | 'full',
  { phone = freshPhone(), headers = {} }: { phone?: string; headers?: Record<string, string> } = {},
) {
  const post = async (url: string, body: object, token?: string) => {
    const answer = await app.call('POST', url, { body, token, headers, remoteAddress: address() });
    if (answer.status >= 300) throw new Error(`${url}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  const started = await post('/v1/auth/signup/phone', { phone });
  const person = { phone, flow: started.flow_id as string, token: '', access: '' };
  if (until === 'code') return person;
  await app.relay.drain();
  const otp = (await app.services.inbox?.latest(phone))?.code;
  const verified = await post('/v1/auth/signup/verify-otp', { phone, otp });
  person.token = verified.temp_token;
  if (until === 'verified') return person;
  await post('/v1/auth/signup/set-password', { password: PASSWORD }, person.token);
  if (until === 'password') return person;
  const profile = await post(
    '/v1/auth/signup/profile',
    {
      first_name: 'Canarina',
      last_name: 'Featherstone',
      date_of_birth: '1990-12-10',
      address: { line1: STREET, city: 'Canaryville', postal_code: 'CA1 4RY', country: 'GB' },
    },
    person.token,
  );
  person.access = profile.access_token;
  if (until === 'limited') return person;
  await post('/v1/kyc', { document_type: 'PAN', document_number: `ABCDE${1000 + next}F` }, person.access);
  await app.relay.drain();
  return person;
}

let next = 1;
/** Every request from a network of its own, so that limits stay out of the way. */
export const address = (): string => {
  next++;
  return `10.${(next >> 16) & 255}.${(next >> 8) & 255}.${next & 255}`;
};
