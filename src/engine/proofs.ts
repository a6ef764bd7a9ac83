/** Builds what only evidence may build: code verdicts, login subjects, openings. No route or body can name these. */
import type { LoadedFlow } from '../../db/flows.ts';
import type { PasswordLogin, Throttle } from '../../db/password-logins.ts';
import * as throttles from '../../db/throttles.ts';
import type { Code, CodeTerms, CodeVerdict } from '../../machines/code.ts';
import type { Purpose } from '../../machines/effects.ts';
import {
  LOGIN_CODE,
  LOGIN_CODE_COUNTER,
  type LoginEvent,
  type Method,
  type Subject,
} from '../../machines/login.ts';
import type { Owner, Risk } from '../../machines/signup.ts';
import {
  isReservedPhone,
  RESERVED_TOTP_SECRET,
  type ReservedOutcome,
  reservedOutcome,
} from '../adapters/reserved.ts';
import { evaluateRisk, identifierFacts, type RiskRules } from '../adapters/risk-local.ts';
import { codeFor, codeMatches } from '../kernel/crypto/codes.ts';
import { hashToken, parseFlowToken } from '../kernel/crypto/flow-token.ts';
import type { Keyring } from '../kernel/crypto/keyring.ts';
import { isBound } from '../kernel/hashing/index.ts';
import { Problem } from '../kernel/problems.ts';
import { type Factors, PIN } from './factors/index.ts';
import type { FactorVerdict } from './factors/kind.ts';
import type { DurableWindows } from './rules.ts';
import type { FlowView } from './snapshots.ts';

export const DEMO_CODE = '000000';

export type ProofRules = {
  demo: boolean;
  codeTtlMs: number;
  mailCodeTtlMs: number;
  codeAttempts: number;
  /** Checks per code for callers without the flow's token. */
  openAttempts: number;
  lockMs: number;
  stepUpAttempts: number;
  stepUpTtlMs: number;
  codeWindows: DurableWindows['codeWindows'];
  factorWindow: DurableWindows['factorWindow'];
  loginWindows(subjectId: string, deviceId: string | null): throttles.Window[];
  risk: RiskRules;
  externalRisk: boolean;
};

const passwordLocked = ({ endsAt }: Throttle, now: number): Problem =>
  new Problem('rate_limited', { retryAfter: Math.max(1, Math.ceil((endsAt - now) / 1000)) });

/** What every way in reads of the account behind it. */
type SubjectRead = Pick<
  LoadedFlow | PasswordLogin,
  'account' | 'credential' | 'factors' | 'signupFlowId' | 'mailContactId'
>;

export type Proofs = ReturnType<typeof createProofs>;

export function createProofs({
  keyring,
  factors,
  rules,
}: {
  keyring: Keyring;
  factors: Factors;
  rules: ProofRules;
}) {
  const demoOutcome = (phone: string | null): ReservedOutcome | null =>
    rules.demo && phone ? reservedOutcome(phone) : null;

  const passwordLimit = rules.loginWindows('', null)[0]?.limit ?? 0;
  const pinFailures = ({ account, failures }: LoadedFlow): number =>
    failures[rules.factorWindow(account?.id ?? '', PIN.id).key] ?? 0;
  /** Also what may answer L4, and whether no login passes without a second factor. */
  const subjectOf = (account: NonNullable<SubjectRead['account']>, read: SubjectRead) => ({
    accountId: account.id,
    status: account.status,
    tier: account.tier,
    factors: [...(read.credential?.pinHash ? [PIN] : []), ...factors.ways(read.factors)],
    mfa: factors.enrolled(read.factors),
    passwordVersion: read.credential?.passwordVersion ?? 0,
    ...(read.credential?.passwordRestored ? { passwordRestored: true } : {}),
    signupFlowId: read.signupFlowId,
    ...(read.mailContactId === null ? {} : { mailContactId: read.mailContactId }),
  });

  /** The account behind the proven contact, as login sees it. */
  const subject = (loaded: SubjectRead & Pick<LoadedFlow, 'device'>): Subject | null => {
    const { account, device } = loaded;
    if (!account) return null;
    return {
      ...subjectOf(account, loaded),
      knownDevice: device !== null,
      ...(device?.trusted === false ? { trustedDevice: false } : {}),
    };
  };

  /** The event of an answer to L4, on the account as it is by now. */
  const answered = (
    fresh: LoadedFlow,
    answer: { factorId: string; ok: boolean; failures: number },
    now: number,
  ): LoginEvent => ({ type: 'STEP_UP_ANSWERED', now, ...answer, subject: subject(fresh) });

  const retryAfter = (window: throttles.Window): number => Math.ceil(window.windowMs / 1000);

  return {
    /** The one-time code of a flow; the relay and a check derive it alike. */
    code: (flowId: string, purpose: Purpose, counter: number): string =>
      rules.demo ? DEMO_CODE : codeFor(keyring.key('code'), { flowId, purpose, counter }),

    /** The fixed secret of a reserved number in the demo; null for everybody else. */
    demoTotpSecret: (phone: string | null): string | null =>
      rules.demo && phone !== null && isReservedPhone(phone) ? RESERVED_TOTP_SECRET : null,

    /** Terms of a new code; reserved demo numbers show its failures. */
    terms(phone: string | null): CodeTerms {
      const outcome = demoOutcome(phone);
      return {
        ttlMs: outcome === 'code_expired' ? 0 : rules.codeTtlMs,
        attempts: outcome === 'code_locked' ? 1 : rules.codeAttempts,
        openAttempts: outcome === 'code_locked' ? 1 : rules.openAttempts,
      };
    },

    /** Terms of a new code by mail. */
    mailTerms: (): CodeTerms => ({
      ttlMs: rules.mailCodeTtlMs,
      attempts: rules.codeAttempts,
      openAttempts: rules.openAttempts,
    }),

    /** Whether the presented token is the flow's own and still lives. A wrong one is an error, never "no token". */
    holder(loaded: LoadedFlow, token: string | null, now: number): boolean {
      if (token === null) return false;
      const parsed = parseFlowToken(token);
      const live = (loaded.flow.tokenExpiresAt?.getTime() ?? 0) > now;
      if (
        !parsed ||
        parsed.flowId !== loaded.flow.id ||
        !live ||
        loaded.flow.tokenHash !== hashToken(token)
      ) {
        throw new Problem('invalid_flow_token');
      }
      return true;
    },

    /**
     * Whether the flow was opened with this token and has replaced it since. It opens nothing any more; until its first
     * expiry its holder may learn that the code has been accepted.
     */
    replacedToken({ flow }: LoadedFlow, token: string, now: number, ttlMs: number): boolean {
      const openedAt = flow.createdAt.getTime();
      const first = hashToken(keyring.flowTokenFor(flow.id, openedAt));
      return hashToken(token) === first && flow.tokenHash !== first && now < openedAt + ttlMs;
    },

    /** Problems that only say "this token opens nothing". */
    isTokenRefusal: ({ code }: Problem): boolean =>
      [
        'not_found',
        'invalid_flow_token',
        'event_refused',
        'flow_needs_restart',
        'account_blocked',
        'conflict',
      ].includes(code),

    /** The identifier in the body must be the flow's own. */
    sameContact(loaded: LoadedFlow, contactId: string): void {
      if (loaded.flow.contactId !== contactId) throw new Problem('invalid_flow_token');
    },

    /** A code by mail proves an address, so the flow must be about one. */
    aboutEmail(loaded: LoadedFlow): void {
      if (loaded.contact?.type !== 'email') throw new Problem('invalid_flow_token');
    },

    /** Without a token only a reserved demo number may be written to by name; the machine then asks for its grant. */
    mayName(phone: string | undefined): void {
      if (!rules.demo || phone === undefined || !isReservedPhone(phone)) throw new Problem('unauthenticated');
    },

    /** The durable windows that bound this caller's checks of the flow's codes. A device counts for its owner only. */
    codeWindows(
      loaded: LoadedFlow,
      caller: { holder: boolean; network: string },
      failures = loaded.failures,
    ): throttles.Window[] {
      const { flow, contact, account, device } = loaded;
      const knownDevice = device !== null && account !== null && contact?.accountId === account.id;
      return rules.codeWindows(flow.contactId ?? '', { ...caller, knownDevice }, failures);
    },

    /** Refuses before any comparison when they are full; else what the commit counts in, as an enclosure. */
    codeBudget(
      loaded: LoadedFlow,
      caller: { holder: boolean; network: string },
    ): { codeWindows: throttles.Window[] } {
      const codeWindows = this.codeWindows(loaded, caller);
      this.budgetOf(codeWindows, loaded.failures);
      return { codeWindows };
    },

    /** The same for counters that belong to no flow. */
    budgetOf(windows: throttles.Window[], failures: Record<string, number>): void {
      const full = throttles.full(windows, failures);
      if (full) {
        throw new Problem('rate_limited', { retryAfter: retryAfter(full), members: { valid: false } });
      }
    },

    /** Whether this number stands for a lock that every caller who names it sees. */
    showsLock: (phone: string): boolean => demoOutcome(phone) === 'code_locked',

    codeVerdict(view: FlowView, purpose: Purpose, submitted: string, holder: boolean): CodeVerdict {
      const { counter } = view.context.code as Code;
      return {
        counter,
        matches: codeMatches(this.code(view.id, purpose, counter), submitted),
        holder,
        lockMs: rules.lockMs,
      };
    },

    subject,

    /** The account a right password belongs to; its own identifier may still wait for its code. */
    passwordSubject(read: PasswordLogin): Subject | null {
      if (!read.account) return null;
      return {
        ...subjectOf(read.account, read),
        knownDevice: read.knownDevice,
        ...(read.trustedDevice ? {} : { trustedDevice: false }),
        contactProven: read.contactProven,
        ...(read.contactType === 'email' ? { signupEntry: 'email' as const } : {}),
      };
    },

    /** Refuses before any comparison while the identifier waits after too many wrong passwords. */
    passwordBudget({ throttle }: PasswordLogin, now: number): void {
      if (throttle.count >= passwordLimit) throw passwordLocked(throttle, now);
    },

    /** The answer to a wrong password; it says that the password was wrong only while the budget had room. */
    wrongPassword: (counted: Throttle, now: number): Problem =>
      counted.count > passwordLimit ? passwordLocked(counted, now) : new Problem('invalid_credentials'),

    /** Who owns the contact a sign-up has just proven. */
    owner(loaded: LoadedFlow): Owner | null {
      const { account, contact, otherOwner } = loaded;
      if (otherOwner) return otherOwner;
      if (!account || contact?.accountId !== account.id) return null;
      return { accountId: account.id, tier: account.tier, signupFlowId: loaded.signupFlowId };
    },

    /** Refuses before any comparison while a factor of the account waits after too many wrong answers. */
    factorBudget(accountId: string, factorId: string, failures: number): void {
      const window = rules.factorWindow(accountId, factorId);
      if (failures >= window.limit) throw new Problem('rate_limited', { retryAfter: retryAfter(window) });
    },

    pinBudget(loaded: LoadedFlow): void {
      this.factorBudget(loaded.account?.id ?? '', PIN.id, pinFailures(loaded));
    },

    /** Local rules as facts; with an external provider the machine waits for its verdict instead. */
    risk(
      facts: { age: number | null; codeRetries: number; phone: string | null; birthDateLater?: boolean },
      now: number,
    ): Risk {
      if (rules.externalRisk) return { decision: 'PENDING', reasons: [], at: now };
      const { blocked, flagged } = identifierFacts(facts.phone, rules.risk);
      const { decision, reasons } = evaluateRisk(
        {
          age: facts.age,
          codeRetries: facts.codeRetries,
          birthDateLater: facts.birthDateLater ?? false,
          identifierBlocked: blocked,
          identifierFlagged: flagged,
        },
        rules.risk,
      );
      return { decision, reasons, at: now };
    },

    /** The first event of a login, for whichever way in was proven. */
    primaryProved(facts: {
      now: number;
      method: Method;
      contactId: string | null;
      subject: Subject | null;
      sessionId: string;
      deviceId: string | null;
      persistent: boolean;
      highRisk: boolean;
      endsAt?: number | null;
      /** `aal2` for a passkey that verified its user. */
      firstProof?: 'aal1' | 'aal2';
      /** The factor whose right answer came along. */
      answered?: string | null;
      codeSuppressed?: boolean;
    }): LoginEvent & { type: 'PRIMARY_PROVED' } {
      return {
        type: 'PRIMARY_PROVED',
        ...facts,
        endsAt: facts.endsAt ?? null,
        firstProof: facts.firstProof ?? 'aal1',
        answered: facts.answered ?? null,
        stepUp: { attempts: rules.stepUpAttempts, ttlMs: rules.stepUpTtlMs },
      };
    },

    /** A checked PIN; void when the account set another one between the check and the decision. */
    pinAnswered(fresh: LoadedFlow, checked: LoadedFlow, matches: boolean, now: number): LoginEvent {
      const [present, then] = [fresh.credential, checked.credential];
      // A hash that was only bound to its account meanwhile is no change.
      const rebound =
        present?.passwordVersion === then?.passwordVersion &&
        isBound(present?.pinHash) &&
        !isBound(then?.pinHash);
      const unchanged = present?.pinHash === then?.pinHash || rebound;
      const ok = matches && unchanged && Boolean(fresh.credential?.pinHash);
      return answered(fresh, { factorId: PIN.id, ok, failures: pinFailures(fresh) }, now);
    },

    /** A submitted code against the one this login has sent. */
    loginCodeAnswered(loaded: LoadedFlow, submitted: string, now: number): LoginEvent {
      const accountId = loaded.account?.id ?? '';
      const failures = loaded.failures[rules.factorWindow(accountId, LOGIN_CODE.id).key] ?? 0;
      this.factorBudget(accountId, LOGIN_CODE.id, failures);
      const ok = codeMatches(this.code(loaded.flow.id, 'login', LOGIN_CODE_COUNTER), submitted);
      return answered(loaded, { factorId: LOGIN_CODE.id, ok, failures }, now);
    },

    /** What no login takes: sent where none waits for an answer, so that it is refused like any other event. */
    noAnswer(fresh: LoadedFlow, now: number): LoginEvent {
      return answered(fresh, { factorId: '', ok: false, failures: 0 }, now);
    },

    /** An answer to one of the account's factors. */
    factorAnswered(fresh: LoadedFlow, { factor, use }: FactorVerdict, now: number): LoginEvent {
      const { id, failures } = factor;
      return answered(fresh, { factorId: id, ok: use !== null, failures }, now);
    },

    /** Sign-up has just proven everything a first login asks for; the machine opens it only on reaching LIMITED. */
    signupLogin(
      loaded: LoadedFlow,
      facts: { now: number; sessionId: string; deviceId: string | null; persistent: boolean },
    ) {
      const subject: Subject = {
        accountId: loaded.flow.accountId ?? '',
        status: loaded.account?.status ?? 'active',
        tier: 'LIMITED',
        factors: [],
        mfa: false,
        knownDevice: true,
        passwordVersion: loaded.credential?.passwordVersion ?? 0,
        signupFlowId: loaded.flow.id,
      };
      return this.primaryProved({
        ...facts,
        method: 'signup',
        contactId: loaded.flow.contactId,
        subject,
        highRisk: false,
      });
    },
  };
}
