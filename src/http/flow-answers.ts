/** What flow routes share on the way out: the code outcome, the token a caller goes on with, declared problems. */

import type { LoadedFlow } from '../../db/flows.ts';
import type { Code } from '../../machines/code.ts';
import { EventRefused, type Result, type SendContext } from '../engine/engine.ts';
import { answerLost, isReplay } from '../engine/keyed-run.ts';
import type { FlowView } from '../engine/snapshots.ts';
import { Problem } from '../kernel/problems.ts';
import type { Action } from './actions.ts';
import { openCheck, openlyWrong, wrongCode } from './open-checks.ts';
import { problemSchema } from './problem-json.ts';
import type { Services } from './services.ts';

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
 * step: the holder of a newer one has proven more than this caller.
 */
export function handedOver(shown: FlowView, by: FlowView, caller: SendContext): FlowView {
  if (isReplay(caller) && (shown.tokenGeneration ?? 0) > by.stateEnteredAt.getTime()) throw answerLost();
  return shown;
}

const refused = (flow: FlowView): boolean => flow.tags.has('locked') || flow.state.endsWith('code_sent');

/** Turns a wrong code and a lock into their documented answers; expired looks like wrong. For holders of the token. */
export async function codeOutcome(
  s: Pick<Services, 'actions'>,
  sending: Promise<Result>,
  now: number,
): Promise<Result> {
  const result = await ownFlow(sending);
  const { flow } = result;
  const code = flow.context.code as Code;
  if (flow.tags.has('locked')) throw locked(s, flow, code.lockedUntil ?? now, now);
  if (refused(flow)) throw wrongCode();
  return result;
}

export type CodeChecker = {
  /** The flow's own token, or null for a caller who only names it. */
  token: string | null;
  /** What such a caller names: the id of a contact or of an account. */
  name: string;
  network: string;
  now: number;
  /** A reserved number that shows what a lock looks like. */
  showsLock?: boolean;
};

/** The same for callers with the token or without; these learn nothing about the flow, not even that there is one. */
export async function checkedCode(
  s: Pick<Services, 'actions' | 'db' | 'proofs' | 'windows'>,
  { token, name, network, now, showsLock = false }: CodeChecker,
  send: () => Promise<Result>,
): Promise<Result> {
  if (token !== null)
    return codeOutcome(s, send(), now).catch((error) => Promise.reject(repeated(s, error, now)));
  const result = await openCheck(s, { name, network, now }, send);
  const code = result.flow.context.code as Code;
  if (showsLock && code.openAttemptsLeft === 0) throw locked(s, result.flow, code.expiresAt, now);
  if (refused(result.flow)) throw openlyWrong(s, result, network);
  return result;
}

/** The holder of the flow's token repeats a check that was right. */
function repeated({ actions }: Pick<Services, 'actions'>, error: unknown, now: number): unknown {
  if (!(error instanceof EventRefused) || !error.view.tags.has('verified')) return error;
  const next = actions.next(error.view, now);
  return alreadyVerified(error.view, next.length ? next : actions.anew(error.view), error);
}

const alreadyVerified = ({ state }: FlowView, next: Action[], cause?: unknown): Problem =>
  new Problem('already_verified', { state, next }, { cause });

/**
 * A check that was right has replaced the token it was made with. Who repeats it with the replaced one hears so, and
 * gets no token: the answer that held it may have reached another person. @throws Problem already_verified
 */
export function refuseRepeated(
  { actions, proofs, config }: Pick<Services, 'actions' | 'proofs' | 'config'>,
  { loaded, view, token, now }: { loaded: LoadedFlow; view: FlowView; token: string | null; now: number },
): void {
  if (token === null || !view.tags.has('verified')) return;
  if (proofs.replacedToken(loaded, token, now, config.flow.tokenTtlS * 1000))
    throw alreadyVerified(view, actions.anew(view));
}

/** No check is left: not even the right code helps until `until`. */
const locked = (
  { actions }: Pick<Services, 'actions'>,
  flow: FlowView,
  until: number,
  now: number,
): Problem =>
  new Problem('rate_limited', {
    retryAfter: Math.max(1, Math.ceil((until - now) / 1000)),
    state: flow.state,
    next: actions.next(flow, now),
    members: { valid: false },
  });
