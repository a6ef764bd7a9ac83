/** Where a sign-up goes on after its code, by phone or e-mail: itself, or an earlier one of the same contact. */
import type { FlowView } from '../../engine/snapshots.ts';
import { handedOver, openToken } from '../../http/flow-answers.ts';
import type { Caller } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';

/** A sign-up already under way goes on where it was: its own state, and a token for it. */
export async function goesOn(
  s: Pick<Services, 'engine' | 'flows' | 'keyring'>,
  flow: FlowView,
  caller: Caller,
): Promise<{ shown: FlowView; reveals: string | null }> {
  const shown = flow.state === 'resumed' ? handedOver(await underWay(s, flow, caller), flow, caller) : flow;
  return { shown, reveals: shown.state === 'registered' ? null : openToken(s, shown) };
}

async function underWay(
  { engine, flows }: Pick<Services, 'engine' | 'flows'>,
  { contactId }: FlowView,
  caller: Caller,
): Promise<FlowView> {
  const owner = await flows.signupOfContact(contactId ?? '');
  return (await engine.read('signup', { id: owner ?? '' }, caller)).view;
}
