/** What flow routes share on the way out: the code outcome, the token a caller goes on with, declared problems. */
import type { Code } from '../machines/code.ts';
import { nextActions } from './contracts/actions.ts';
import { EventRefused, type Result, type SendContext } from './engine.ts';
import { answerLost, isReplay } from './keyed-run.ts';
import { problemSchema } from './plugins/problem-json.ts';
import { Problem } from './problems.ts';
import type { Services } from './services.ts';
import type { FlowView } from './snapshots.ts';

type ErrorStatus = 400 | 401 | 403 | 404 | 409 | 422 | 429 | 503;

/** Response schemas for the errors a route can answer with. */
export const problemsFor = <S extends ErrorStatus>(...statuses: S[]) =>
  Object.fromEntries(statuses.map((status) => [status, problemSchema])) as Record<S, typeof problemSchema>;

/** The flow's current token, derived again; only for a caller who has just proven to be entitled to it. */
export const openToken = ({ keyring }: Pick<Services, 'keyring'>, flow: FlowView): string | null =>
  flow.tokenGeneration === null || flow.done ? null : keyring.flowTokenFor(flow.id, flow.tokenGeneration);

/** A flow that is named by its token and is not there is a token that is not valid. */
export const ownFlow = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error) => {
    if (error instanceof Problem && error.code === 'not_found') throw new Problem('invalid_flow_token');
    throw error;
  });

/**
 * The flow a resumed sign-up handed over to. A replayed step tells of it only while its token is still the one of that
 * step: whoever has a newer one has proven more than this caller.
 */
export function handedOver(shown: FlowView, by: FlowView, caller: SendContext): FlowView {
  if (isReplay(caller) && (shown.tokenGeneration ?? 0) > by.stateEnteredAt.getTime()) throw answerLost();
  return shown;
}

/**
 * Turns a wrong code, a missing flow and a lock into their documented answers; expired looks like wrong. Whoever only
 * names the identifier (`holder: false`) learns nothing about its flow, not even that there is one to refuse.
 */
export async function codeOutcome(sending: Promise<Result>, now: number, holder: boolean): Promise<Result> {
  const result = await (holder ? ownFlow(sending) : sending).catch((error) => {
    const untold = error instanceof EventRefused || (error instanceof Problem && error.code === 'not_found');
    throw untold && !holder ? wrongCode() : error;
  });
  const { flow } = result;
  const code = flow.context.code as Code;
  if (flow.tags.has('locked')) throw locked(flow, code.lockedUntil ?? now, now, holder);
  if (flow.state.endsWith('code_sent')) {
    throw !holder && code.openAttemptsLeft === 0 ? locked(flow, code.expiresAt, now, holder) : wrongCode();
  }
  return result;
}

/** No check is left: not even the right code helps until `until`. */
const locked = (flow: FlowView, until: number, now: number, holder: boolean): Problem =>
  new Problem('rate_limited', {
    retryAfter: Math.max(1, Math.ceil((until - now) / 1000)),
    ...(holder ? { state: flow.state, next: nextActions(flow, now) } : {}),
    members: { valid: false },
  });

/** Neither the state nor how many tries are left. */
const wrongCode = (): Problem => new Problem('invalid_code', { members: { valid: false } });
