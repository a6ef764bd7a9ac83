/** What flow routes share on the way out: the code outcome, the token a caller goes on with, declared problems. */
import type { Code } from '../machines/code.ts';
import { nextActions } from './contracts/actions.ts';
import type { Result } from './engine.ts';
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

/** Turns a wrong code, a missing flow and a lock into their documented answers; expired looks like wrong. */
export async function codeOutcome(sending: Promise<Result>, now: number): Promise<Result> {
  const result = await sending.catch((error) => {
    if (error instanceof Problem && error.code === 'not_found') throw wrongCode();
    throw error;
  });
  const { flow } = result;
  const code = flow.context.code as Code;
  if (flow.tags.has('locked')) {
    const wait = Math.ceil(((code.lockedUntil ?? now) - now) / 1000);
    throw new Problem('rate_limited', {
      retryAfter: Math.max(1, wait),
      state: flow.state,
      next: nextActions(flow, now),
    });
  }
  if (flow.state.endsWith('code_sent')) throw wrongCode(flow, now);
  return result;
}

/** Without the flow nothing about it is told: no state, no attempts left. */
const wrongCode = (_flow?: FlowView, _now?: number): Problem =>
  new Problem('invalid_code', { members: { valid: false } });
