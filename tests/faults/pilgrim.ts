/** A person who wants an account and does not give up: repeats what got no answer, and proves the phone anew when lost. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Codes, mobile, PASSWORD, PROFILE } from '../support/person.ts';
import type { Answer, Replica } from '../support/replica.ts';
import type { Journal } from './journal.ts';

/** The service is away most of the time while it is killed on a busy machine: a start takes seconds. */
const DEADLINE_MS = 300_000;
/** How many of the last answers a person who did not arrive reports. */
const MEMORY = 12;

/** The account's tokens once it is LIMITED, or null when the answer with them was lost and a login brought others. */
export type Arrived = { phone: string; access: string };

export async function signUpWhatever(
  call: Replica['call'],
  codeOf: Codes,
  journal: Journal,
): Promise<Arrived> {
  const phone = mobile();
  const end = Date.now() + DEADLINE_MS;
  const story: string[] = [];

  /** Null: nobody knows whether it was done. */
  async function ask(method: string, path: string, body?: unknown, token?: string): Promise<Answer | null> {
    for (;;) {
      if (Date.now() > end)
        throw new Error(`${phone} is still not signed up: ${story.slice(-MEMORY).join(', ')}`);
      const answer = await call(method, path, { body, token }).catch(() => null);
      journal.note(answer?.status ?? null);
      if (answer) story.push(`${path} ${answer.status} ${answer.body.code ?? answer.body.state}`);
      // The cooldown is a second; what Retry-After says is rounded up to hide the bucket.
      if (answer?.status === 429) await delay(1100);
      else if (answer === null || answer.status === 503) {
        await delay(30 + Math.random() * 70);
        return null;
      } else if (answer.status >= 500) throw new Error(`${path}: ${answer.status}`);
      else return answer;
    }
  }
  /** Asks, and when the outcome is unknown looks where the flow stands instead. */
  async function advance(path: string, body: unknown, token: string): Promise<Answer> {
    for (;;) {
      const answer = await ask('POST', path, body, token);
      if (answer) return answer;
      const now = await ask('GET', '/v1/auth/signup', undefined, token);
      if (now) return now;
    }
  }

  async function login(): Promise<Arrived> {
    for (;;) {
      const sent = await ask('POST', '/v1/auth/send-otp', { phone });
      if (sent?.status !== 200) continue;
      const otp = codeOf(sent.body.flow_id, 'login');
      const done = await ask('POST', '/v1/auth/verify-otp', { phone, otp }, sent.body.flow_token);
      if (done?.body.auth_status !== 'AUTHENTICATED') continue;
      journal.acknowledge({ flowId: sent.body.flow_id, event: 'CODE_CHECKED', state: 'verified' });
      return { phone, access: done.body.access_token };
    }
  }

  for (;;) {
    const started = await ask('POST', '/v1/auth/signup/phone', { phone });
    if (started?.status !== 200) continue;
    const { flow_id: flowId, flow_token: opener } = started.body;
    journal.acknowledge({ flowId, event: 'PHONE_SUBMITTED', state: 'UNVERIFIED.code_sent' });
    const otp = codeOf(flowId, 'signup');
    const verified = await ask('POST', '/v1/auth/signup/verify-otp', { phone, otp }, opener);
    if (verified?.status !== 200) continue;
    const at = verified.body;
    const state = at.state === 'registered' ? 'registered' : at.flow_id === flowId ? at.state : 'resumed';
    journal.acknowledge({ flowId, event: 'CODE_CHECKED', state });
    if (at.state === 'registered') return login();
    let answer: Answer = verified;
    const token = at.flow_token as string;
    if (answer.body.state === 'UNVERIFIED.preuser_created') {
      answer = await advance('/v1/auth/signup/set-password', { password: PASSWORD }, token);
    }
    if (answer.body.state === 'UNVERIFIED.preuser_created') continue;
    if (answer.status === 200 && answer.body.state === 'UNVERIFIED.credentials_set') {
      const event = 'PASSWORD_SET';
      journal.acknowledge({ flowId: at.flow_id, event, state: answer.body.state });
      answer = await advance('/v1/auth/signup/profile', PROFILE, token);
    }
    if (answer.status === 401 || !answer.body.state?.startsWith('LIMITED')) continue;
    journal.acknowledge({ flowId: at.flow_id, event: 'PROFILE_SUBMITTED', state: answer.body.state });
    return answer.body.access_token ? { phone, access: answer.body.access_token } : login();
  }
}
