/** Decisions not to advance: the error for the client, and the record of it. */
import { Problem } from '../kernel/problems.ts';
import type { FlowView } from './snapshots.ts';

/** The event is not possible now: a 409 that tells where the untouched flow rests and what it would accept. */
export class EventRefused extends Problem {
  readonly view: FlowView;
  constructor(view: FlowView, event: string, next: unknown[]) {
    super('event_refused', { detail: `${event} is not possible in ${view.state}`, state: view.state, next });
    this.view = view;
  }
}

/** A decision not to advance. Its record is written once no lock is held, so that it cannot wait for its own caller. */
export class Rejection extends Error {
  readonly problem: Problem;
  readonly record: () => Promise<unknown>;
  constructor(problem: Problem, record: () => Promise<unknown>) {
    super(problem.message, { cause: problem });
    this.problem = problem;
    this.record = record;
  }
}
