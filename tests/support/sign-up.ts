/**
 * The one walk through a sign-up, at the public API. It knows no step: it does what `next` offers, with the example body
 * of the published document, so that an added step is walked through as well.
 */
import { readFileSync } from 'node:fs';
import { type Action, wayOn } from '../../src/http/actions.ts';
import type { Answer } from './replica.ts';

export type Call = (
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  options?: { body?: unknown; token?: string | undefined },
) => Promise<Pick<Answer, 'status' | 'body'>>;

export type SignupPerson = {
  call: Call;
  phone: string;
  /** The code that was sent for this flow. */
  codeOf(flowId: string): string | Promise<string>;
  /** What this person enters otherwise than the examples, in whichever step asks for it. */
  inputs?: Record<string, unknown>;
};

export type SignedUp = {
  phone: string;
  flowId: string;
  flowToken: string;
  state: string;
  /** Empty below LIMITED, as are those below. */
  access: string;
  refresh: string;
  userId: string;
  sessionId: string;
  /** Of the last step. */
  answer: Pick<Answer, 'status' | 'body'> & { headers?: Record<string, string | string[] | undefined> };
};

type Schema = { examples?: object[]; properties?: object; anyOf?: Schema[] };
const schemas: Record<string, Schema> = JSON.parse(
  readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'),
).components.schemas;

/** The example body that an offered action declares, with those of `inputs` that its schema has. */
export function bodyOf({ event, schema }: Action, inputs: Record<string, unknown> = {}): object {
  const { examples: [example] = [], properties = {} } = schemas[schema ?? ''] ?? {};
  if (!example) throw new Error(`${event} has no example body`);
  return {
    ...example,
    ...Object.fromEntries(Object.entries(inputs).filter(([name]) => Object.hasOwn(properties, name))),
  };
}

/** A whole state, its last part, or a tier. */
const isAt = (state: string, wanted: string): boolean =>
  state === wanted || state.endsWith(`.${wanted}`) || state.startsWith(`${wanted}.`);

/** From a phone to a state of the sign-up. @throws Error with the answer that leads no further. */
export async function signUpTo(person: SignupPerson, state: string): Promise<SignedUp> {
  const { call, phone, codeOf, inputs = {} } = person;
  const start = '/v1/auth/signup/phone';
  let answer: SignedUp['answer'] = await call('POST', start, { body: { phone } });
  const made = new Set([start]);
  const at = { phone, flowId: answer.body.flow_id as string, flowToken: answer.body.flow_token as string };
  while (answer.status < 300 && !isAt(answer.body.state, state)) {
    const action = wayOn(answer.body.next, made);
    if (!action || answer.body.access_token) break;
    made.add(action.href);
    const otp = action.event === 'CODE_CHECKED' ? await codeOf(at.flowId) : undefined;
    const body = bodyOf(action, { ...inputs, phone, ...(otp === undefined ? {} : { otp }) });
    answer = await call('POST', action.href, { body, token: at.flowToken });
    at.flowToken = answer.body.flow_token ?? at.flowToken;
  }
  const { body } = answer;
  // A refusal by risk is a way to its state.
  if ((answer.status >= 300 && body.code !== 'risk_refused') || !isAt(body.state ?? '', state))
    throw new Error(`no way to ${state}: ${answer.status} ${JSON.stringify(body)}`);
  return {
    ...at,
    state: body.state,
    access: body.access_token ?? '',
    refresh: body.refresh_token ?? '',
    userId: body.user_id ?? '',
    sessionId: body.session_id ?? '',
    answer,
  };
}
