/** One imported person enters the sign-up machine by an event of its own, and reaches LIMITED at most. */
import { intern } from '../../db/contacts.ts';
import { execute } from '../../db/statement.ts';
import { parseEmail } from '../identifiers.ts';
import { Problem } from '../problems.ts';
import { systemEnvelope } from '../providers.ts';
import { mint, phoneReader } from '../request-context.ts';
import type { Services } from '../services.ts';
import type { ImportedUser } from './formats.ts';

/** Why a line was not taken; never what it held. */
export type ImportOutcome =
  | 'imported'
  | 'exists'
  | 'unverified'
  | 'no_contact'
  | 'invalid_contact'
  | 'review'
  | 'refused';

type Contact = { type: 'email' | 'phone'; canonical: string; value: string };

/** The proven contact to enter by: the address when there is one. */
function contactOf(s: Services, user: ImportedUser): Contact | ImportOutcome {
  try {
    if (user.email && user.emailVerified) {
      const { canonical, original } = parseEmail(user.email);
      return { type: 'email', canonical, value: original };
    }
    if (user.phone && user.phoneVerified) {
      const { e164 } = phoneReader(s.config)(user.phone);
      return { type: 'phone', canonical: e164, value: e164 };
    }
  } catch (error) {
    if (error instanceof Problem) return 'invalid_contact';
    throw error;
  }
  return user.email || user.phone ? 'unverified' : 'no_contact';
}

export async function importUser(s: Services, user: ImportedUser): Promise<ImportOutcome> {
  const contact = contactOf(s, user);
  if (typeof contact === 'string') return contact;
  const now = s.clock.now();
  const contactId = s.keyring.lookupId(contact.type, contact.canonical);
  const phone = contact.type === 'phone' ? contact.canonical : null;
  // A statement does not see what it inserts, and this one claims the contact.
  await execute(s.db.writes, intern({ id: contactId, ...contact }, new Date(now)));
  try {
    const { flow } = await s.engine.open(
      'signup',
      {
        flowId: mint(),
        tokenTtlMs: 0,
        event: {
          type: 'IMPORTED',
          now,
          contactId,
          accountId: mint(),
          contactVerified: true,
          risk: s.proofs.risk({ age: null, birthDateLater: true, codeRetries: 0, phone }, now),
          ttlMs: s.config.flow.signupTtlDays * 86_400_000,
        },
        enclosures: {
          credentials: { passwordHash: user.passwordHash, pinHash: null },
          profile: {
            displayName: user.name?.slice(0, 255) ?? null,
            firstName: null,
            lastName: null,
            birthDate: null,
            address: null,
            complete: false,
          },
        },
      },
      { now, envelope: systemEnvelope('system'), deviceId: null },
    );
    return flow.tier === 'LIMITED' ? 'imported' : flow.done ? 'refused' : 'review';
  } catch (error) {
    // Whoever owns the contact keeps it.
    if (error instanceof Problem && error.code === 'conflict') return 'exists';
    throw error;
  }
}
