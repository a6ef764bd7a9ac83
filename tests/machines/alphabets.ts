/** Every event a machine can be sent, with good and with bad facts, in terms of where it rests. No clock: times are relative. */
import type { ChallengeContext, ChallengeEvent } from '../../machines/challenge.ts';
import type { Code } from '../../machines/code.ts';
import type { ContactChangeContext, ContactChangeEvent } from '../../machines/contact-change.ts';
import type { FactorContext, FactorEvent } from '../../machines/factor.ts';
import type { MachineEvents, MachineId } from '../../machines/index.ts';
import {
  type Factor,
  LOGIN_CODE,
  type LoginContext,
  type LoginEvent,
  type Subject,
} from '../../machines/login.ts';
import type { RecoveryContext, RecoveryEvent } from '../../machines/recovery.ts';
import type { Owner, Risk, SignupContext, SignupEvent } from '../../machines/signup.ts';

/** `fact` says in a word what is particular about the event; `good` that nothing about it is wrong. */
export type Letter<E = { type: string; now: number }> = { event: E; fact: string; good: boolean };

export const T0 = 1_800_000_000_000;
const TERMS = { ttlMs: 300_000, attempts: 2, openAttempts: 1 };
const TTL = 30 * 86_400_000;
const CONTACT = '00000000-0000-7000-8000-00000000c0c0';
const OTHER_CONTACT = '00000000-0000-7000-8000-00000000c0c1';
const ACCOUNT = '00000000-0000-7000-8000-00000000acc0';
const OTHER = '00000000-0000-7000-8000-0000000007e4';
const FLOW = '00000000-0000-7000-8000-00000000f10e';
const SESSION = '00000000-0000-7000-8000-000000005e55';

const good = <E>(fact: string, event: E): Letter<E> => ({ fact, event, good: true });
const bad = <E>(fact: string, event: E): Letter<E> => ({ fact, event, good: false });

const risk = (decision: Risk['decision']): Risk => ({
  decision,
  reasons: decision === 'ALLOW' ? [] : ['identifier_flagged'],
  at: T0,
});
const DECISIONS = ['ALLOW', 'REVIEW', 'BLOCK', 'PENDING'] as const;

/** The moments that matter to a code: its last valid one, the first late one, and the same for a lock. */
const moments = (code: Code) => ({
  inTime: Math.max(T0, code.expiresAt - 1),
  late: Math.max(T0, code.expiresAt),
  lockEnds: code.lockedUntil ?? T0,
});

/** Checks of a code, however wrong; `more` are the facts beside the verdict. */
function checks<M extends object>(code: Code, more: M) {
  const { inTime, late } = moments(code);
  const verdict = { counter: code.counter, matches: true, holder: true, lockMs: 3_600_000 };
  const check = (now: number, change: Partial<typeof verdict> = {}) => ({
    type: 'CODE_CHECKED' as const,
    now,
    verdict: { ...verdict, ...change },
    ...more,
  });
  return {
    right: check(inTime),
    rightOpen: check(inTime, { holder: false }),
    wrong: [
      bad('wrong', check(inTime, { matches: false })),
      bad('wrong, without token', check(inTime, { matches: false, holder: false })),
      bad('of the code before', check(inTime, { counter: code.counter - 1 })),
      bad('late', check(late)),
      bad('late, without token', check(late, { holder: false })),
    ],
  };
}

/** The first event of a login that sign-up opens; its facts are the login alphabet's business. */
const OPENING = { flowId: FLOW, event: { type: 'PRIMARY_PROVED' } };

export function signupLetters(c: SignupContext): Letter<SignupEvent>[] {
  const { lockEnds } = moments(c.code);
  const accountId = c.accountId ?? ACCOUNT;
  const asked = { now: T0, terms: TERMS, suppressed: false, contactId: CONTACT, ttlMs: TTL };
  const phone = { type: 'PHONE_SUBMITTED' as const, ...asked, restart: false };
  const registered = { type: 'REGISTERED' as const, ...asked, accountId: ACCOUNT };
  const imported = {
    type: 'IMPORTED' as const,
    now: T0,
    contactId: CONTACT,
    otherContactId: null as string | null,
    accountId: ACCOUNT,
    contactVerified: true,
    risk: risk('ALLOW'),
    ttlMs: TTL,
  };
  const again = { type: 'CODE_REQUESTED' as const, now: lockEnds, terms: TERMS, suppressed: false };
  const facts = {
    owner: null as Owner | null,
    accountId: ACCOUNT,
    grant: false,
    tokenTtlMs: 900_000,
    risk: risk('ALLOW'),
    login: null as typeof OPENING | null,
  };
  const code = checks(c.code, facts);
  const owner = (tier: Owner['tier'], signupFlowId: string | null): Owner => ({
    accountId: OTHER,
    tier,
    signupFlowId,
  });
  const profile = { type: 'PROFILE_SUBMITTED' as const, now: T0, login: OPENING };
  const review = { type: 'REVIEW_DECIDED' as const, now: T0, reviewer: 'bootstrap-admin', reason: 'checked' };
  const verdict = {
    now: T0,
    kycId: c.kyc?.id ?? '00000000-0000-7000-8000-0000000000ff',
    sequence: (c.kyc?.sequence ?? 0) + 1,
    reason: null,
    by: 'provider',
  };
  const stale = { ...verdict, sequence: c.kyc?.sequence ?? 0 };
  const foreign = { ...verdict, kycId: '00000000-0000-7000-8000-0000000000aa' };
  const approved = { type: 'KYC_APPROVED' as const, risk: risk('ALLOW') };
  return [
    good('', phone),
    good('suppressed', { ...phone, suppressed: true }),
    good('restart', { ...phone, restart: true }),
    good('restart, suppressed', { ...phone, restart: true, suppressed: true }),
    good('', registered),
    good('suppressed', { ...registered, suppressed: true }),
    ...DECISIONS.map((d) => good(d, { ...imported, risk: risk(d) })),
    good('with another contact', { ...imported, otherContactId: OTHER_CONTACT }),
    bad('unverified', { ...imported, contactVerified: false }),
    good('', again),
    good('suppressed', { ...again, suppressed: true }),
    ...(c.code.lockedUntil === null
      ? []
      : [
          bad('locked', { ...again, now: lockEnds - 1 }),
          bad('locked, suppressed', { ...again, now: lockEnds - 1, suppressed: true }),
        ]),
    good('right', code.right),
    good('right, with grant', { ...code.right, grant: true }),
    good('right, person present', { ...code.right, login: OPENING }),
    good('right, without token', code.rightOpen),
    good('right, by the address alone', { ...code.rightOpen, byAddress: true }),
    ...(['REVIEW', 'BLOCK', 'PENDING'] as const).map((d) =>
      good(`right, ${d}`, { ...code.right, risk: risk(d) }),
    ),
    good('right, of a user', { ...code.right, owner: owner('LIMITED', null) }),
    good('right, of a sign-up under way', { ...code.right, owner: owner('UNVERIFIED', FLOW) }),
    good('right, of an ended sign-up', { ...code.right, owner: owner('UNVERIFIED', null) }),
    ...code.wrong,
    good('token', {
      type: 'PASSWORD_SET',
      now: T0,
      presented: 'token',
      pinSet: true,
      tokenTtlMs: facts.tokenTtlMs,
    }),
    (c.grant ? good : bad)('grant', {
      type: 'PASSWORD_SET',
      now: T0,
      presented: 'grant',
      pinSet: false,
      tokenTtlMs: facts.tokenTtlMs,
    }),
    ...DECISIONS.map((d) => good(d, { ...profile, risk: risk(d) })),
    good('nobody present', { ...profile, risk: risk('ALLOW'), login: null }),
    ...(['signup', 'kyc'] as const).flatMap((stage) =>
      DECISIONS.slice(0, 3).map((d) =>
        good(`${stage} ${d}`, { type: 'RISK_EVALUATED' as const, now: T0, stage, risk: risk(d) }),
      ),
    ),
    good('approve', { ...review, approve: true }),
    good('reject', { ...review, approve: false }),
    bad('approve oneself', { ...review, approve: true, reviewer: accountId }),
    bad('reject oneself', { ...review, approve: false, reviewer: accountId }),
    good('', {
      type: 'KYC_SUBMITTED',
      now: T0,
      kycId: `00000000-0000-7000-8000-00000000000${c.kyc?.submissions ?? 0}`,
    }),
    ...DECISIONS.map((d) => good(d, { ...approved, ...verdict, risk: risk(d) })),
    bad('stale', { ...approved, ...stale }),
    bad('of another record', { ...approved, ...foreign }),
    good('retry', { type: 'KYC_REJECTED', ...verdict, retryable: true }),
    good('final', { type: 'KYC_REJECTED', ...verdict, retryable: false }),
    bad('stale', { type: 'KYC_REJECTED', ...stale, retryable: true }),
    good('', { type: 'KYC_REVIEW_REQUIRED', ...verdict }),
    bad('stale', { type: 'KYC_REVIEW_REQUIRED', ...stale }),
    good('retry', { type: 'KYC_REVOKED', ...verdict, retryable: true }),
    good('final', { type: 'KYC_REVOKED', ...verdict, retryable: false }),
    bad('stale', { type: 'KYC_REVOKED', ...stale, retryable: false }),
    good('', { type: 'ABANDON', now: T0 }),
    good('due', { type: 'EXPIRE', now: c.dueAt ?? T0 + TTL }),
    bad('early', { type: 'EXPIRE', now: (c.dueAt ?? T0 + TTL) - 1 }),
  ];
}

const PIN: Factor = { id: 'pin', kind: 'pin', level: 'presence', amr: ['pin'] };
const TOTP: Factor = {
  id: '00000000-0000-7000-8000-0000000070f0',
  kind: 'totp',
  level: 'second',
  amr: ['otp'],
};
/** A code to the very contact that some logins begin by. */
const SMS: Factor = {
  id: '00000000-0000-7000-8000-000000005e50',
  kind: 'sms',
  level: 'second',
  amr: ['sms'],
  contactId: CONTACT,
};

export const SUBJECT: Subject = {
  accountId: ACCOUNT,
  status: 'active',
  tier: 'FULL',
  factors: [PIN],
  mfa: false,
  knownDevice: true,
  passwordVersion: 3,
  signupFlowId: null,
};

const RESTORED: Subject = { ...SUBJECT, passwordRestored: true };

/** Whose login it is: one subject per thing the stages ask about. */
const SUBJECTS: [string, Subject | null][] = [
  ['known device', SUBJECT],
  ['new device', { ...SUBJECT, knownDevice: false }],
  ['known device without trust', { ...SUBJECT, trustedDevice: false }],
  ['new device, no PIN', { ...SUBJECT, knownDevice: false, factors: [] }],
  ['second factor', { ...SUBJECT, factors: [PIN, TOTP], mfa: true }],
  ['second factor, new device', { ...SUBJECT, knownDevice: false, factors: [PIN, TOTP], mfa: true }],
  ['second factor locked', { ...SUBJECT, mfa: true }],
  ['second factor by the first contact', { ...SUBJECT, factors: [PIN, SMS], mfa: true }],
  ['LIMITED', { ...SUBJECT, tier: 'LIMITED' }],
  ['LIMITED, new device', { ...SUBJECT, tier: 'LIMITED', knownDevice: false }],
  ['UNVERIFIED', { ...SUBJECT, tier: 'UNVERIFIED', signupFlowId: FLOW }],
  ['UNVERIFIED, new device', { ...SUBJECT, tier: 'UNVERIFIED', knownDevice: false }],
  ['blocked', { ...SUBJECT, status: 'blocked' }],
  ['blocked, UNVERIFIED', { ...SUBJECT, status: 'blocked', tier: 'UNVERIFIED' }],
  ['deleted', { ...SUBJECT, status: 'deleted' }],
  ['archived', { ...SUBJECT, status: 'archived' }],
  ['nobody', null],
];

export function loginLetters(c: LoginContext): Letter<LoginEvent>[] {
  const proved = {
    type: 'PRIMARY_PROVED' as const,
    now: T0,
    method: 'phone_code' as const,
    contactId: CONTACT,
    sessionId: SESSION,
    deviceId: null,
    persistent: false,
    endsAt: null as number | null,
    highRisk: false,
    firstProof: 'aal1' as 'aal1' | 'aal2',
    answered: null as string | null,
    stepUp: { attempts: 2, ttlMs: 600_000 },
  };
  const enrolled = { ...SUBJECT, factors: [PIN, TOTP, SMS], mfa: true };
  const due = c.dueAt ?? T0 + 600_000;
  const answer = {
    type: 'STEP_UP_ANSWERED' as const,
    now: due - 1,
    ok: true,
    failures: 0,
    subject: c.subject,
  };
  const changed = (change: Partial<Subject>) => ({ ...(c.subject ?? SUBJECT), ...change });
  return [
    ...SUBJECTS.map(([fact, subject]) => good(fact, { ...proved, subject })),
    good('high risk', { ...proved, subject: SUBJECT, highRisk: true }),
    good('with an end of its own', { ...proved, subject: SUBJECT, endsAt: T0 + 1_800_000 }),
    good('by password', { ...proved, method: 'password', subject: SUBJECT }),
    good('by password, restored', { ...proved, method: 'password', subject: RESTORED }),
    good('by password, restored, no code left', {
      ...proved,
      method: 'password',
      subject: RESTORED,
      codeSuppressed: true,
    }),
    good('by password, restored, second factor', {
      ...proved,
      method: 'password',
      subject: { ...enrolled, passwordRestored: true },
    }),
    good('by code, restored', { ...proved, subject: RESTORED }),
    good('right login code', { ...answer, factorId: LOGIN_CODE.id }),
    bad('wrong login code', { ...answer, factorId: LOGIN_CODE.id, ok: false }),
    bad('late login code', { ...answer, factorId: LOGIN_CODE.id, now: due }),
    bad('right login code of another account', {
      ...answer,
      factorId: LOGIN_CODE.id,
      subject: changed({ accountId: OTHER }),
    }),
    good('by password, unproven', {
      ...proved,
      method: 'password',
      subject: { ...SUBJECT, contactProven: false },
    }),
    good('by sign-up', { ...proved, method: 'signup', subject: { ...SUBJECT, knownDevice: false } }),
    good('with its second factor', { ...proved, subject: enrolled, answered: TOTP.id }),
    good('with its PIN', { ...proved, subject: enrolled, answered: PIN.id }),
    good('with a code of the same contact', { ...proved, subject: enrolled, answered: SMS.id }),
    good('with a factor it has not', { ...proved, subject: { ...SUBJECT, mfa: true }, answered: TOTP.id }),
    good('by verified passkey', { ...proved, method: 'passkey', firstProof: 'aal2', subject: enrolled }),
    good('by unverified passkey', { ...proved, method: 'passkey', subject: enrolled }),
    ...[PIN, TOTP, SMS].flatMap(({ id: factorId, kind: factor }) => [
      good(`right ${factor}`, { ...answer, factorId }),
      bad(`wrong ${factor}`, { ...answer, factorId, ok: false }),
      bad(`late ${factor}`, { ...answer, factorId, now: due }),
      bad(`right ${factor} of another account`, {
        ...answer,
        factorId,
        subject: changed({ accountId: OTHER }),
      }),
      bad(`right ${factor}, account gone`, { ...answer, factorId, subject: null }),
      bad(`right ${factor}, blocked meanwhile`, {
        ...answer,
        factorId,
        subject: changed({ status: 'blocked' }),
      }),
      bad(`right ${factor}, new password meanwhile`, {
        ...answer,
        factorId,
        subject: changed({ passwordVersion: SUBJECT.passwordVersion + 1 }),
      }),
      bad(`right ${factor}, taken away meanwhile`, {
        ...answer,
        factorId,
        subject: changed({ factors: [] }),
      }),
      good(`right ${factor}, second factor enrolled meanwhile`, {
        ...answer,
        factorId,
        subject: changed({ factors: [PIN, TOTP], mfa: true }),
      }),
    ]),
    good('due', { type: 'EXPIRE', now: due }),
    bad('early', { type: 'EXPIRE', now: due - 1 }),
  ];
}

export function challengeLetters(c: ChallengeContext): Letter<ChallengeEvent>[] {
  const { lockEnds } = moments(c.code);
  const asked = {
    type: 'CODE_REQUESTED' as const,
    now: lockEnds,
    contactId: CONTACT,
    accountId: null as string | null,
    audience: null,
    purpose: 'login' as const,
    terms: TERMS,
    suppressed: false,
    ttlMs: 600_000,
  };
  const code = checks(c.code, { opens: null as typeof OPENING | null });
  const early = { ...asked, now: lockEnds - 1 };
  const due = c.dueAt ?? T0 + 600_000;
  return [
    good('', asked),
    good('suppressed', { ...asked, suppressed: true }),
    good('to add', { ...asked, accountId: ACCOUNT, purpose: 'contact' }),
    good('to add, suppressed', { ...asked, accountId: ACCOUNT, purpose: 'contact', suppressed: true }),
    good('of somebody else', { ...asked, contactId: OTHER, accountId: OTHER }),
    ...(c.code.lockedUntil === null
      ? []
      : [bad('locked', early), bad('locked, suppressed', { ...early, suppressed: true })]),
    good('right, opens', { ...code.right, opens: OPENING }),
    good('right, opens, without token', { ...code.rightOpen, opens: OPENING }),
    good('right', code.right),
    ...code.wrong,
    bad('wrong, opens', {
      ...code.right,
      verdict: { ...code.right.verdict, matches: false },
      opens: OPENING,
    }),
    good('due', { type: 'EXPIRE', now: due }),
    bad('early', { type: 'EXPIRE', now: due - 1 }),
  ];
}

export function recoveryLetters(c: RecoveryContext): Letter<RecoveryEvent>[] {
  const asked = {
    type: 'RESET_REQUESTED' as const,
    now: T0,
    contactId: CONTACT,
    accountId: ACCOUNT as string | null,
    passwordVersion: 3 as number | null,
    suppressed: false,
    ttlMs: 1_800_000,
  };
  const due = c.dueAt ?? T0 + 1_800_000;
  const version = c.passwordVersion ?? 3;
  const used = {
    type: 'PASSWORD_RESET' as const,
    now: due - 1,
    passwordVersion: version,
    ownerId: c.accountId as string | null,
  };
  return [
    good('', asked),
    good('suppressed', { ...asked, suppressed: true }),
    good('of nobody', { ...asked, accountId: null, passwordVersion: null }),
    good('without a password', { ...asked, passwordVersion: null }),
    good('', used),
    bad('late', { ...used, now: due }),
    bad('after another change', { ...used, passwordVersion: version + 1 }),
    bad('of an address given up', { ...used, ownerId: null }),
    bad('of an address somebody else has by now', { ...used, ownerId: OTHER }),
    good('due', { type: 'EXPIRE', now: due }),
    bad('early', { type: 'EXPIRE', now: due - 1 }),
  ];
}

export function contactChangeLetters(c: ContactChangeContext): Letter<ContactChangeEvent>[] {
  const ttlMs = 72 * 3_600_000;
  const changed = { now: T0, contactId: CONTACT, accountId: ACCOUNT, readers: [OTHER_CONTACT], ttlMs };
  const added = { type: 'CONTACT_ADDED' as const, ...changed, previousId: OTHER_CONTACT as string | null };
  const removed = { type: 'CONTACT_REMOVED' as const, ...changed };
  const due = c.dueAt ?? T0 + ttlMs;
  const undone = {
    type: 'CHANGE_UNDONE' as const,
    now: due - 1,
    ownerId: c.purpose === 'added' ? c.accountId : null,
    previousFree: true,
    othersLeft: 1,
  };
  // What has come to stay, or is back already, cannot go or come again.
  const moot = c.purpose === 'added' ? null : c.accountId;
  const nowhere = c.purpose === 'added' ? bad : good;
  return [
    good('', added),
    good('nothing to go back to', { ...added, previousId: null }),
    good('nobody reads', { ...added, readers: [] }),
    good('', removed),
    good('nobody reads', { ...removed, readers: [] }),
    good('', undone),
    good('old one taken', { ...undone, previousFree: false }),
    (c.previousId === null ? nowhere : good)('nothing else left', { ...undone, othersLeft: 0 }),
    nowhere('old one taken, nothing else left', { ...undone, previousFree: false, othersLeft: 0 }),
    bad('late', { ...undone, now: due }),
    bad('moot', { ...undone, ownerId: moot }),
    bad('somebody else’s by now', { ...undone, ownerId: OTHER }),
    good('due', { type: 'EXPIRE', now: due }),
    bad('early', { type: 'EXPIRE', now: due - 1 }),
  ];
}

export function factorLetters(c: FactorContext): Letter<FactorEvent>[] {
  const due = c.dueAt ?? T0 + 600_000;
  const confirmed = {
    type: 'CONFIRMED' as const,
    now: due - 1,
    ok: true,
    sessionId: SESSION,
    codesDue: true,
  };
  const disabled = {
    type: 'DISABLED' as const,
    now: T0,
    authorized: true,
    othersLeft: false,
    sessionId: SESSION as string | null,
  };
  return [
    good('', {
      type: 'SETUP_STARTED',
      now: T0,
      accountId: ACCOUNT,
      factorId: FLOW,
      kind: 'totp',
      attempts: 2,
      ttlMs: 600_000,
    }),
    good('right', confirmed),
    good('right, has codes', { ...confirmed, codesDue: false }),
    bad('wrong', { ...confirmed, ok: false }),
    bad('late', { ...confirmed, now: due }),
    good('', disabled),
    good('others left', { ...disabled, othersLeft: true }),
    good('in no session', { ...disabled, sessionId: null }),
    bad('unproven', { ...disabled, authorized: false }),
    good('', { type: 'REPLACED', now: T0, authorized: true }),
    bad('unproven', { type: 'REPLACED', now: T0, authorized: false }),
    good('', { type: 'LOCKED', now: T0 }),
    good('due', { type: 'EXPIRE', now: due }),
    bad('early', { type: 'EXPIRE', now: due - 1 }),
  ];
}

type Letters = { [M in MachineId]: (context: never) => Letter<MachineEvents[M]>[] };

/** By machine; a new machine fails the type check here until it has its alphabet. */
export const alphabets: Letters = {
  signup: signupLetters,
  login: loginLetters,
  challenge: challengeLetters,
  recovery: recoveryLetters,
  contact_change: contactChangeLetters,
  factor: factorLetters,
};

/** What of a context makes no difference to what can happen next, because the alphabet is relative to it. */
const VOLATILE = new Set([
  'counter',
  'codeRetries',
  'expiresAt',
  'sequence',
  'dueAt',
  'provedAt',
  'at',
  'id',
]);

/** Two snapshots with the same key have the same future, as far as the alphabet can tell. */
export const futureOf = (value: unknown, context: unknown): string =>
  JSON.stringify([value, context], (key, v) =>
    VOLATILE.has(key) && v !== null ? '~' : key === 'lockedUntil' ? v !== null : v,
  );
