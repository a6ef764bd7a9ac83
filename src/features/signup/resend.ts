/** Another verification code, asked for by a caller who may have no registration open; the relay finds out. */
import { anotherCode } from '../../engine/another-code.ts';
import type { TopicHandler } from '../../engine/delivery.ts';
import { EventRefused } from '../../engine/engine.ts';
import { systemEnvelope } from '../../engine/records.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

export function verificationResend(s: Services): TopicHandler {
  const { engine, proofs, clock } = s;
  return async ({ payload }) => {
    const {
      contactId,
      accountId,
      language = null,
    } = payload as {
      contactId?: string;
      accountId?: string;
      language?: string;
    };
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
        { now, envelope: { ...systemEnvelope('system'), language }, deviceId: null },
      );
    } catch (error) {
      // No flow waits for a code: there is nothing to send, and the answer to the caller was the same.
      const lost = error instanceof Problem && error.code === 'conflict';
      if (!lost && (error instanceof EventRefused || error instanceof Problem)) return;
      throw error;
    } finally {
      if (contact !== null) await anotherCode(s, contact);
    }
  };
}
