/** One imported person enters the sign-up machine by an event of its own, and reaches LIMITED at most. */
import { internNow } from '../../../db/contacts.ts';
import { systemEnvelope } from '../../engine/records.ts';
import { mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { personName } from '../signup/registration-contract.ts';
import { type ImportContact, provenContacts } from './contacts.ts';
import type { ImportedUser } from './formats.ts';

/** What became of a line; never what it held. */
export type ImportOutcome =
  | 'imported'
  /** Without the other of two contacts: it cannot be read here, or belongs to somebody else. */
  | 'imported_partly'
  | 'exists'
  | 'unverified'
  | 'no_contact'
  | 'invalid_contact'
  | 'invalid_name'
  | 'review'
  | 'refused';

type Taken = Extract<ImportOutcome, 'imported' | 'exists' | 'review' | 'refused'>;

export async function importUser(s: Services, user: ImportedUser): Promise<ImportOutcome> {
  const name = user.name?.trim() ? personName.safeParse(user.name) : null;
  if (name && !name.success) return 'invalid_name';
  const { contacts, unread } = provenContacts(s, user);
  const [first, other] = contacts;
  if (!first) return unread ? 'invalid_contact' : user.email || user.phone ? 'unverified' : 'no_contact';
  const person = { name: name?.data ?? null, passwordHash: user.passwordHash };
  const outcome = await enter(s, person, first, other ?? null);
  if (outcome === 'imported' && unread) return 'imported_partly';
  if (outcome !== 'exists' || !other) return outcome;
  const alone = await enter(s, person, first, null);
  return alone === 'imported' ? 'imported_partly' : alone;
}

type Entrant = { name: string | null; passwordHash: string | null };

async function enter(
  s: Services,
  person: Entrant,
  first: ImportContact,
  other: ImportContact | null,
): Promise<Taken> {
  const now = s.clock.now();
  const contacts = other ? [first, other] : [first];
  const phone = contacts.find(({ type }) => type === 'phone')?.canonical ?? null;
  // A statement does not see what it inserts, and the next one claims the contacts.
  for (const contact of contacts) await internNow(s.db, contact, new Date(now));
  try {
    const { flow } = await s.engine.open(
      'signup',
      {
        flowId: mint(),
        tokenTtlMs: 0,
        event: {
          type: 'IMPORTED',
          now,
          contactId: first.id,
          otherContactId: other?.id ?? null,
          accountId: mint(),
          contactVerified: true,
          risk: s.proofs.risk({ age: null, birthDateLater: true, codeRetries: 0, phone }, now),
          ttlMs: s.config.flow.signupTtlDays * 86_400_000,
        },
        enclosures: {
          credentials: { passwordHash: person.passwordHash, pinHash: null },
          profile: {
            displayName: person.name,
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
    // Whoever owns a contact keeps it.
    if (error instanceof Problem && error.code === 'conflict') return 'exists';
    throw error;
  }
}
