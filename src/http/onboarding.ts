/** What is left for a person with a session on the way to FULL: read from their sign-up, so that it is never out of date. */

import type { FlowView } from '../engine/snapshots.ts';
import { Problem } from '../kernel/problems.ts';
import type { Action } from './actions.ts';
import type { Caller } from './request-context.ts';
import type { Services } from './services.ts';

/** The login's own next actions, and those of the sign-up of a LIMITED account: its profile or its document. */
export async function nextAfterLogin(
  { engine, actions }: Pick<Services, 'engine' | 'actions'>,
  login: FlowView,
  caller: Caller,
): Promise<Action[]> {
  const next = actions.next(login, caller.now);
  const subject = login.context.subject as { accountId: string; tier: string } | null;
  if (!login.tags.has('granted') || subject?.tier !== 'LIMITED') return next;
  try {
    const { view } = await engine.read('signup', { accountId: subject.accountId, machine: 'signup' }, caller);
    return [...actions.next(view, caller.now), ...next];
  } catch (error) {
    // A sign-up that cannot be read offers nothing; the login stands without it.
    if (error instanceof Problem) return next;
    throw error;
  }
}
