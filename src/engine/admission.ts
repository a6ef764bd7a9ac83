/** Whether a flow takes an event as it rests, and the refused step of one that it does not. Nothing else changes then. */
import type { AnyMachineSnapshot, EventObject } from 'xstate';
import type { FlowRow } from '../../db/commit.ts';
import type { FlowStore, LoadedFlow } from '../../db/flows.ts';
import type { Definition } from '../../machines/index.ts';
import { Problem } from '../kernel/problems.ts';
import type { SendContext } from './context.ts';
import { Rejection } from './refusals.ts';
import type { FlowView } from './snapshots.ts';
import { step } from './step-row.ts';

type Asked = {
  definition: Definition;
  loaded: LoadedFlow;
  view: FlowView;
  restored: AnyMachineSnapshot;
  event: EventObject;
  context: SendContext;
};

export const createAdmission =
  (deps: { flows: FlowStore; refused: (view: FlowView, event: string, now: number) => Problem }) =>
  /** The account that has to stay active for this event, null when none does. @throws Rejection */
  ({ definition, loaded, view, restored, event, context }: Asked): LoadedFlow['account'] => {
    const reject = (problem: Problem, reason: string): Rejection => {
      const { state } = view;
      const met = step(definition, loaded.flow as FlowRow, context, event.type, [], state, state, null);
      return new Rejection(problem, () => deps.flows.refuse({ ...met, refused: true, reason }));
    };
    // The account of another owner of the contact says nothing about this flow.
    const needed =
      definition.needsActiveAccount === 'but to expire'
        ? event.type !== 'EXPIRE'
        : definition.needsActiveAccount;
    const own = needed && loaded.flow.accountId !== null ? loaded.account : null;
    // An ended flow says so, also when its end took the account with it.
    if (own && own.status !== 'active' && loaded.flow.status === 'active')
      throw reject(new Problem('account_blocked'), 'the account is not active');
    if (loaded.flow.status !== 'active' || !restored.can(event as never)) {
      throw reject(deps.refused(view, event.type, context.now), 'not possible in this state');
    }
    return own;
  };
