/** Another verification code, asked for by somebody who may or may not have a registration open; the relay finds out. */
import type { Database } from '../../../db/client.ts';
import type { FlowStore } from '../../../db/flows.ts';
import { anotherCode } from '../../engine/another-code.ts';
import type { TopicHandler } from '../../engine/delivery.ts';
import { type Engine, EventRefused } from '../../engine/engine.ts';
import type { Proofs } from '../../engine/proofs.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Problem } from '../../kernel/problems.ts';
import { systemEnvelope } from '../kyc/verdicts.ts';

export const createResend = (deps: {
  db: Database;
  flows: FlowStore;
  engine: Engine;
  proofs: Proofs;
  clock: Clock;
}): TopicHandler => {
  const { engine, proofs, clock } = deps;
  return async ({ payload }) => {
    const { contactId, accountId } = payload as { contactId?: string; accountId?: string };
    const now = clock.now();
    let contact: string | null = null;
    try {
      await engine.send(
        'signup',
        accountId === undefined
          ? { contactId: contactId ?? '', machine: 'signup' }
          : { accountId, machine: 'signup' },
        (loaded) => {
          proofs.aboutEmail(loaded);
          contact = loaded.flow.contactId;
          return { event: { type: 'CODE_REQUESTED', now, terms: proofs.mailTerms(), suppressed: false } };
        },
        { now, envelope: systemEnvelope('system'), deviceId: null },
      );
    } catch (error) {
      // Nobody waits for a code: there was nothing to send, and the caller was told nothing else.
      const lost = error instanceof Problem && error.code === 'conflict';
      if (!lost && (error instanceof EventRefused || error instanceof Problem)) return;
      throw error;
    } finally {
      if (contact !== null) await anotherCode(deps, contact);
    }
  };
};
