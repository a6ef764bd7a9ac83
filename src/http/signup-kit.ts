/** What the sign-up routes share: how they name a contact, find the caller's flow and describe themselves. */
import type { Locator } from '../../db/flows.ts';
import { Problem } from '../kernel/problems.ts';
import { flowDoc, flowNamedBy } from './flow-requests.ts';
import { phoneReader } from './request-context.ts';
import type { Services } from './services.ts';

export function signupKit({ config, keyring }: Pick<Services, 'config' | 'keyring'>) {
  const contactId = (e164: string): string => keyring.lookupId('phone', e164);
  return {
    phoneOf: phoneReader(config),
    contactId,
    tokenTtlMs: config.flow.tokenTtlS * 1000,

    doc: (summary: string, description?: string) => flowDoc('Sign-up', summary, description),

    /** The flow the caller means: by token when there is one, else the newest of the phone. */
    locate(token: string | null, phone?: string): Locator {
      if (token !== null) return flowNamedBy(token);
      if (phone === undefined) throw new Problem('unauthenticated');
      return { contactId: contactId(phone), machine: 'signup' };
    },
  };
}
