/**
 * Sign-up by e-mail as every route that offers it does it: register, enter the code, ask for another one. Nothing here
 * tells a caller about other accounts.
 */

import { UniqueViolation } from '../../../db/driver/conflicts.ts';
import type { Locator } from '../../../db/flows.ts';
import { anotherCode } from '../../engine/another-code.ts';
import type { Result } from '../../engine/engine.ts';
import { alreadyCommitted, reservationOf, settled } from '../../engine/keyed-run.ts';
import { acceptPassword } from '../../engine/new-password.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { checkedCode, refuseRepeated } from '../../http/flow-answers.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { capitalsOf, type Email } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';

export type Registration = {
  email: Email;
  password: string;
  name: string | null;
  username?: string;
  /** Kept out of the password, never stored. */
  phone?: string;
  timezone: string;
  locale: string;
};

/** Opens the sign-up and mails its code. @throws Problem weak_password, rate_limited, conflict for a username in use */
export async function registerByEmail(
  s: Services,
  { email, password, name, username, phone = '', timezone, locale }: Registration,
  caller: Caller,
): Promise<FlowView> {
  const { config, keyring, proofs } = s;
  const known = await s.engine.replay('signup', caller);
  if (known) return known.flow;
  await s.limits.register({ identifier: email.canonical, network: caller.network });
  const accountId = mint();
  const passwordHash = await acceptPassword(s, password, {
    accountId,
    context: [email.canonical, name ?? '', username ?? '', phone],
  });
  const contactId = keyring.lookupId('email', email.canonical);
  const { flow } = await uniquely(
    s.engine.open(
      'signup',
      {
        flowId: mint(),
        tokenTtlMs: config.flow.tokenTtlS * 1000,
        event: {
          type: 'REGISTERED',
          now: caller.now,
          terms: proofs.mailTerms(),
          suppressed: false,
          contactId,
          accountId,
          capitals: capitalsOf(email),
          ttlMs: config.flow.signupTtlDays * 86_400_000,
        },
        enclosures: {
          contact: { id: contactId, type: 'email', canonical: email.canonical, value: email.original },
          credentials: { passwordHash, pinHash: null },
          profile: {
            displayName: name,
            firstName: null,
            lastName: null,
            birthDate: null,
            address: null,
            timezone,
            locale,
            complete: false,
          },
          ...(username === undefined ? {} : { username }),
        },
      },
      caller,
    ),
  );
  return flow;
}

/** A username is public, so the answer may say that it is in use. @throws Problem conflict */
export const uniquely = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error) => {
    if (!(error instanceof UniqueViolation)) throw error;
    throw new Problem(
      'conflict',
      {
        detail: 'This username is in use.',
        errors: [{ pointer: '/body/username', code: 'taken', message: 'is in use' }],
      },
      { cause: error },
    );
  });

export type CodeEntry = {
  code: string;
  /** What a caller without the token names: the id of a contact or of an account. */
  name: string;
  /** Looked up within the check, so that the answer does not tell whether there is one. */
  locate: () => Promise<Locator>;
  /** Without a token or the account's id: the person who enters the code may not be the one who registered. */
  byAddress: boolean;
  /** The flow's own token, or null for a caller who only names it. */
  token: string | null;
  /** The session to open once LIMITED is reached; null opens none. */
  session: { persistent: boolean } | null;
};

/** Enters the code of the mail. @throws Problem invalid_code, rate_limited, and what the engine throws */
export async function enterEmailCode(s: Services, entry: CodeEntry, caller: Caller): Promise<Result> {
  const { proofs } = s;
  const { token, session } = entry;
  const [loginId, sessionId] = [mint(), mint()];
  // First: the address of a committed check names no registration any more.
  const send = async () =>
    (await s.engine.replay('signup', caller)) ??
    s.engine.send(
      'signup',
      await entry.locate(),
      (loaded, view) => {
        refuseRepeated(s, { loaded, view, token, now: caller.now });
        const holder = proofs.holder(loaded, token, caller.now);
        proofs.aboutEmail(loaded);
        const enclosures = proofs.codeBudget(loaded, { holder, network: caller.network });
        const codeRetries = Number(view.context.codeRetries);
        const login = session && {
          flowId: loginId,
          event: proofs.signupLogin(loaded, {
            now: caller.now,
            sessionId,
            deviceId: caller.deviceId,
            persistent: session.persistent,
          }),
        };
        return {
          enclosures,
          event: {
            type: 'CODE_CHECKED',
            now: caller.now,
            verdict: proofs.codeVerdict(view, 'email', entry.code, holder),
            owner: proofs.owner(loaded),
            accountId: view.accountId ?? '',
            grant: false,
            byAddress: entry.byAddress,
            tokenTtlMs: s.config.flow.tokenTtlS * 1000,
            risk: proofs.risk({ age: null, birthDateLater: true, codeRetries, phone: null }, caller.now),
            login,
          },
        };
      },
      caller,
    );
  const { network, now } = caller;
  return checkedCode(s, { token, name: entry.name, network, now }, send);
}

/** Puts the wish for another code on its way; what comes of it shows in the mailbox only. @throws Problem rate_limited */
export async function askForAnotherCode(
  s: Services,
  who: { email: Email } | { userId: string },
  caller: Caller,
): Promise<void> {
  // By whichever name, one mailbox has one budget.
  const identifier =
    'email' in who ? who.email.canonical : ((await s.accounts.waitingAddressOf(who.userId)) ?? who.userId);
  await s.limits.recoveryRequest({ identifier, network: caller.network }, caller);
  if (alreadyCommitted(caller)) return;
  const name = 'email' in who ? s.keyring.lookupId('email', identifier) : who.userId;
  await anotherCode(s, name);
  await s.outbox.add({
    id: mint(),
    topic: 'verification.resend',
    payload: {
      ...('email' in who ? { contactId: name } : { accountId: name }),
      ...(caller.envelope.language === null ? {} : { language: caller.envelope.language }),
    },
    now: new Date(caller.now),
    reservation: reservationOf(caller),
  });
  settled(caller);
}
