/** What the sign-up routes share: how they name a contact, find the caller's flow and describe themselves. */
import type { Locator } from '../db/flows.ts';
import { parseFlowToken } from './flow-token.ts';
import { Problem } from './problems.ts';
import { phoneReader } from './request-context.ts';
import type { Services } from './services.ts';

export function signupKit({ config, keyring }: Pick<Services, 'config' | 'keyring'>) {
  const contactId = (e164: string): string => keyring.lookupId('phone', e164);
  return {
    phoneOf: phoneReader(config),
    contactId,
    tokenTtlMs: config.flow.tokenTtlS * 1000,

    doc: (summary: string, event: string) => ({
      summary,
      tags: ['Sign-up'],
      description: `Sends \`${event}\` to the [sign-up machine](/v1/flows/definitions/signup/diagram).`,
      security: [{ flowToken: [] }, {}],
    }),

    /** The flow the caller means: by token when there is one, else the newest of the phone. */
    locate(token: string | null, phone?: string): Locator {
      const parsed = token === null ? null : parseFlowToken(token);
      if (token !== null && !parsed) throw new Problem('invalid_flow_token');
      if (parsed) return { id: parsed.flowId };
      if (phone === undefined) throw new Problem('unauthenticated');
      return { contactId: contactId(phone), machine: 'signup' };
    },
  };
}
