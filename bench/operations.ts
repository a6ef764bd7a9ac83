/** What the load does, one function per operation; the same for the service and for the straight line. */
import { codeFor } from '../src/kernel/crypto/codes.ts';
import { createKeyring } from '../src/kernel/crypto/keyring.ts';
import type { Answer, Connection } from './http-client.ts';
import { freshPhone, PASSWORD, seededPhone } from './people.ts';

export type Target = { name: 'service' | 'baseline'; url: string; masterKey: string; seeded: number };
type Json = Record<string, string>;

export type Operation = {
  /** Makes what `run` will use up; not measured. Answers how many runs that is good for. */
  prepare?(connections: Connection[], wanted: number): Promise<void>;
  /** False when there is nothing left to run on. */
  ready?(): boolean;
  run(connection: Connection): Promise<void>;
};

function expectOk(answer: Answer, what: string): Json {
  if (answer.status >= 300) throw new Error(`${what}: ${answer.status} ${answer.body.slice(0, 300)}`);
  return JSON.parse(answer.body) as Json;
}

/** Runs `work` `count` times, one at a time per connection. */
export async function onAll(
  connections: Connection[],
  count: number,
  work: (c: Connection) => Promise<unknown>,
) {
  let left = count;
  await Promise.all(
    connections.map(async (connection) => {
      let failed = 0;
      while (left-- > 0)
        await work(connection).catch((error) => {
          failed += 1;
          if (failed > 5) throw error;
        });
    }),
  );
}

export function operationsFor(target: Target): Record<string, Operation> {
  const codeKey = createKeyring(Buffer.from(target.masterKey, 'hex')).key('code');
  let fresh = 0;
  let seeded = 0;
  const nextSeeded = () => seededPhone(seeded++ % target.seeded);
  /** The service derives its codes and the load knows the key; the straight line tells its code in a header. */
  const codeOf = (answer: Answer, body: Json, purpose: string): string =>
    /\r\nx-bench-code: (\d+)/.exec(answer.headers)?.[1] ??
    codeFor(codeKey, { flowId: body.flow_id ?? '', purpose, counter: 1 });

  const otps: { phone: string; otp: string; flow_token: string }[] = [];
  const access: string[] = [];
  const refresh: string[] = [];
  const sendOtp = async (c: Connection, phone: string) => {
    const answer = await c.send('POST', '/v1/auth/send-otp', { phone });
    const body = expectOk(answer, 'send-otp');
    return { phone, otp: codeOf(answer, body, 'login'), flow_token: body.flow_token ?? '' };
  };
  const verifyOtp = async (c: Connection, proof: object) =>
    expectOk(await c.send('POST', '/v1/auth/verify-otp', proof), 'verify-otp');
  const logIn = async (c: Connection) => {
    const tokens = await verifyOtp(c, await sendOtp(c, nextSeeded()));
    access.push(tokens.access_token ?? '');
    refresh.push(tokens.refresh_token ?? '');
  };
  let turn = 0;

  return {
    'OTP send': {
      run: async (c) => {
        await sendOtp(c, nextSeeded());
      },
    },
    'OTP verify → tokens': {
      prepare: (all, wanted) =>
        onAll(all, wanted - otps.length, async (c) => otps.push(await sendOtp(c, nextSeeded()))),
      ready: () => otps.length > 0,
      run: async (c) => {
        await verifyOtp(c, otps.shift()!);
      },
    },
    'whole sign-up (4 requests)': {
      run: async (c) => {
        const phone = freshPhone(fresh++);
        const started = await c.send('POST', '/v1/auth/signup/phone', { phone });
        const { flow_token = '', ...body } = expectOk(started, 'signup/phone');
        const otp = codeOf(started, body, 'signup');
        const verified = await c.send('POST', '/v1/auth/signup/verify-otp', { phone, otp, flow_token });
        const token = expectOk(verified, 'signup/verify-otp').temp_token;
        expectOk(
          await c.send('POST', '/v1/auth/signup/set-password', { password: PASSWORD }, token),
          'set-password',
        );
        const person = { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' };
        const done = expectOk(await c.send('POST', '/v1/auth/signup/profile', person, token), 'profile');
        if (!done.access_token) throw new Error(`sign-up gave no token: ${JSON.stringify(done)}`);
      },
    },
    'GET me': {
      prepare: (all) => onAll(all, 64 - access.length, logIn),
      run: async (c) => {
        expectOk(await c.send('GET', '/v1/users/me', undefined, access[turn++ % access.length]), 'me');
      },
    },
    'password login': {
      run: async (c) => {
        const credentials = { phone: nextSeeded(), password: PASSWORD };
        expectOk(await c.send('POST', '/v1/auth/login', credentials), 'login');
      },
    },
    refresh: {
      prepare: (all) => onAll(all, 256 - refresh.length, logIn),
      run: async (c) => {
        const answer = await c.send('POST', '/v1/auth/refresh', { refresh_token: refresh.shift() });
        refresh.push(expectOk(answer, 'refresh').refresh_token ?? '');
      },
    },
  };
}

/** Operations whose route may not exist yet, by path. */
export const OPTIONAL: Record<string, string> = {
  'password login': '/v1/auth/login',
  refresh: '/v1/auth/refresh',
};

export const operationNames = [
  'OTP send',
  'OTP verify → tokens',
  'whole sign-up (4 requests)',
  'GET me',
  'password login',
  'refresh',
] as const;
