/** What flow routes share on the way in: which flow a token names, and how a route documents that it takes one. */
import type { Locator } from '../../db/flows.ts';
import { parseFlowToken } from '../kernel/crypto/flow-token.ts';
import { Problem } from '../kernel/problems.ts';

/** The flow a token names; whether the token is good is proven later. @throws Problem invalid_flow_token */
export function flowNamedBy(token: string): Locator {
  const parsed = parseFlowToken(token);
  if (!parsed) throw new Problem('invalid_flow_token');
  return { id: parsed.flowId };
}

/** Documentation of a route that takes the flow's token, or none. */
export const flowDoc = (tag: string, summary: string, description?: string) => ({
  summary,
  tags: [tag],
  ...(description ? { description } : {}),
  security: [{ flowToken: [] }, {}] as Record<string, string[]>[],
});
