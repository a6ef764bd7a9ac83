/** What flow routes share on the way in: which flow a token names, and how a route says which event it sends. */
import type { Locator } from '../../db/flows.ts';
import type { MachineId } from '../../machines/index.ts';
import { parseFlowToken } from '../kernel/crypto/flow-token.ts';
import { Problem } from '../kernel/problems.ts';

/** The flow a token names; whether the token is good is proven later. @throws Problem invalid_flow_token */
export function flowNamedBy(token: string): Locator {
  const parsed = parseFlowToken(token);
  if (!parsed) throw new Problem('invalid_flow_token');
  return { id: parsed.flowId };
}

/** Documentation of a route that sends `event` to a machine, with a token of the flow or without. */
export const sendsEvent = (tag: string, machine: MachineId, event: string, summary: string) => ({
  summary,
  tags: [tag],
  description: `Sends \`${event}\` to the [${machine} machine](/v1/flows/definitions/${machine}/diagram).`,
  security: [{ flowToken: [] }, {}] as Record<string, string[]>[],
});
