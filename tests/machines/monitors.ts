/** What must never happen, judged from the facts of the events alone and never by asking the machine's guards. */
import type { AnyMachineSnapshot } from 'xstate';
import type { ChallengeEvent } from '../../machines/challenge.ts';
import type { Code, CodeVerdict } from '../../machines/code.ts';
import type { ContactChangeContext, ContactChangeEvent } from '../../machines/contact-change.ts';
import type { FactorContext, FactorEvent } from '../../machines/factor.ts';
import { type MachineId, registry } from '../../machines/index.ts';
import type { Factor, LoginContext, LoginEvent, Subject } from '../../machines/login.ts';
import type { RecoveryContext, RecoveryEvent } from '../../machines/recovery.ts';
import type { SignupContext, SignupEvent } from '../../machines/signup.ts';
import type { TradingLinkContext, TradingLinkEvent } from '../../machines/trading-link.ts';
import { type Monitor, type Step, stateOf } from './explore.ts';

const effect = (step: Step, type: string) => step.effects.find((e) => e.type === type)?.params;
const contextOf = <C>(snapshot: AnyMachineSnapshot): C => snapshot.context as C;

/** The verdict proves possession: right value, of the current code, in time, while checks are left. */
const proves = (code: Code, { verdict, now }: { verdict: CodeVerdict; now: number }): boolean =>
  verdict.matches &&
  verdict.counter === code.counter &&
  now < code.expiresAt &&
  (verdict.holder ? code.attemptsLeft : code.openAttemptsLeft) > 0;

/** Rules every machine with a one-time code shares. */
function codeRules(step: Step, never: (rule: string, happened: boolean) => unknown): void {
  const { event } = step.letter;
  const { code } = contextOf<{ code: Code }>(step.before);
  const locked = step.after.hasTag('locked');
  never(
    'a suppressed code is sent',
    'suppressed' in event && event.suppressed === true && !!effect(step, 'sendCode'),
  );
  never(
    'a lock ends before its time',
    event.type === 'CODE_REQUESTED' && code.lockedUntil !== null && event.now < code.lockedUntil,
  );
  if (event.type !== 'CODE_CHECKED' || step.before.hasTag('locked')) return;
  const { verdict } = event as never as { verdict: CodeVerdict };
  const wrong = !proves(code, event as never);
  const last = verdict.holder && code.attemptsLeft <= 1;
  never('the last check does not lock', wrong && last && !locked);
  never('a code locks while its holder has checks left', locked && !(wrong && last));
}

const every = (id: MachineId, step: Step, never: (rule: string, happened: boolean) => unknown): void => {
  const { event } = step.letter;
  const { dueAt } = contextOf<{ dueAt: number | null }>(step.before);
  never('a context its own schema refuses', !registry[id].context.safeParse(step.after.context).success);
  never('a timer fires early', event.type === 'EXPIRE' && (dueAt === null || event.now < dueAt));
};

/** A step as its monitor reads it, with the rules it breaks; those of every machine are judged already. */
function read<E, C>(id: MachineId, step: Step) {
  const broken: string[] = [];
  const never = (rule: string, happened: boolean) => happened && broken.push(rule);
  every(id, step, never);
  return {
    broken,
    never,
    event: step.letter.event as E,
    was: contextOf<C>(step.before),
    is: contextOf<C>(step.after),
    from: stateOf(step.before),
    to: stateOf(step.after),
  };
}

type SignupGhost = {
  proved: boolean;
  credentials: boolean;
  profile: boolean;
  /** Risk said no at the gate: nothing later may say otherwise. */
  blocked: boolean;
  judged: boolean;
  /** An approval of the record under way, not taken back. */
  approved: boolean;
  /** KYC was refused for good. */
  refused: boolean;
};

export const signupMonitor: Monitor<SignupGhost> = {
  start: {
    proved: false,
    credentials: false,
    profile: false,
    blocked: false,
    judged: false,
    approved: false,
    refused: false,
  },
  watch(step, before) {
    const { broken, never, event, was, is, from, to } = read<SignupEvent, SignupContext>('signup', step);
    const ghost = { ...before };
    codeRules(step, never);

    const proved =
      (event.type === 'CODE_CHECKED' && proves(was.code, event)) ||
      (event.type === 'IMPORTED' && event.contactVerified);
    const owner = event.type === 'CODE_CHECKED' ? event.owner : null;
    const created = effect(step, 'createAccount');
    const takes = created?.claim === true || !!effect(step, 'claimContact');
    const handedOver = !!effect(step, 'handOver');
    never('a contact is taken without proof', takes && !proved);
    never('a contact is taken from its owner', takes && owner !== null);
    never('a token is granted without proof', !!effect(step, 'grantToken') && !proved);
    never('a token is handed over without proof', handedOver && !proved);
    never('a token is handed over to no sign-up', handedOver && !owner?.signupFlowId);
    never('a registered contact tells the unproven', to === 'registered' && !proved);
    never('a registered contact is not told', proved && to === 'registered' && owner === null);
    never(
      'a contact is archived unasked',
      !!effect(step, 'archiveContact') && !(event.type === 'PHONE_SUBMITTED' && event.restart),
    );
    never('a PreUser is released that is none', effect(step, 'releasePreUser')?.accountId === '');
    never(
      'an ended sign-up keeps its contact',
      (to === 'expired' || to === 'abandoned') && was.accountId !== null && !effect(step, 'releasePreUser'),
    );
    never('somebody walks out of a review', event.type === 'ABANDON' && ghost.judged);
    ghost.proved ||= proved && to !== 'registered' && to !== 'resumed';

    const discards = !!effect(step, 'discardRegistration');
    const stored = !!effect(step, 'storeCredentials');
    never(
      'credentials are written without token or grant',
      event.type === 'PASSWORD_SET' && event.presented === 'grant' && !was.grant,
    );
    never('credentials are written twice', stored && ghost.credentials);
    ghost.credentials = stored || (ghost.credentials && !discards);
    never(
      'a PIN is remembered otherwise than it was set',
      event.type === 'PASSWORD_SET' && is.pinSet !== event.pinSet,
    );
    // A registration may bring a name; a profile is what somebody submits.
    const profiled = event.type === 'PROFILE_SUBMITTED' && !!effect(step, 'storeProfile');
    never('a profile of the unproven', event.type === 'PROFILE_SUBMITTED' && !ghost.proved);
    never('a profile is written twice', profiled && ghost.profile);
    ghost.profile ||= profiled;

    const alone = event.type === 'CODE_CHECKED' && event.byAddress === true && was.entry === 'email';
    const claims = alone && !!effect(step, 'claimContact');
    never(
      'the password of another person is kept',
      claims && !(discards && to === 'UNVERIFIED.preuser_created'),
    );
    never('a registration is discarded for its own holder', discards && !alone);
    const login = 'login' in event ? event.login : null;
    never('a login opens for nobody', !!effect(step, 'openFlow') && login === null);
    never('a login opens below LIMITED', !!effect(step, 'openFlow') && !to.startsWith('LIMITED'));

    const review = event.type === 'REVIEW_DECIDED' ? event : null;
    never('somebody reviews himself', review !== null && review.reviewer === was.accountId);
    const reviewed = review?.approve === true && review.reviewer !== was.accountId;
    const stage = from.startsWith('UNVERIFIED') ? 'signup' : 'kyc';
    never(
      'a risk verdict of another stage is taken',
      event.type === 'RISK_EVALUATED' && event.stage !== stage,
    );
    const atGate = from === 'idle' || from.startsWith('UNVERIFIED');
    ghost.blocked ||= atGate && is.risk?.decision === 'BLOCK';
    ghost.judged ||= atGate && is.risk !== null;

    const verdict = 'sequence' in event ? event : null;
    never(
      'a stale or foreign KYC verdict is taken',
      verdict !== null && (verdict.kycId !== was.kyc?.id || verdict.sequence <= was.kyc.sequence),
    );
    const entered = (tier: string) => effect(step, 'setTier')?.tier === tier;
    if (event.type === 'KYC_SUBMITTED') {
      never('KYC without a profile', !ghost.profile);
      never('KYC after its last try', ghost.refused || (was.kyc?.submissions ?? 0) >= 3);
      ghost.approved = false;
    }
    if (event.type === 'KYC_APPROVED') ghost.approved = true;
    ghost.approved ||= reviewed && from === 'LIMITED.kyc_review';
    if (event.type === 'KYC_REJECTED' || event.type === 'KYC_REVOKED') {
      ghost.approved = false;
      ghost.refused ||= !event.retryable;
    }
    ghost.refused ||= to === 'LIMITED.kyc_refused';
    if (entered('LIMITED') && from !== 'FULL') {
      const passed = is.risk?.decision === 'ALLOW' || (reviewed && was.risk?.decision === 'REVIEW');
      never('LIMITED without an accepted code', !ghost.proved);
      const welcome = effect(step, 'sendMail');
      const mailbox = is.entry === 'email' ? is.contactId : null;
      never('a welcome goes elsewhere than to the address of the sign-up', welcome?.contactId !== mailbox);
      never('LIMITED without a passed risk', !passed || ghost.blocked);
      never('LIMITED without credentials', is.entry !== 'import' && !ghost.credentials);
      never('LIMITED by phone without a profile', is.entry === 'phone' && !ghost.profile);
    }
    never('FULL is left upwards', from === 'FULL' && event.type !== 'KYC_REVOKED');
    if (entered('FULL')) {
      never('FULL without an accepted KYC', !ghost.approved && !reviewed);
      never(
        'FULL against the risk',
        is.risk?.decision !== 'ALLOW' && !(reviewed && is.risk?.decision === 'REVIEW'),
      );
      never('FULL with an undecided record', effect(step, 'decideKyc')?.status !== 'VERIFIED');
    }
    never(
      'a tier moves unnamed',
      !to.startsWith(from.split('.')[0] as string) && /^(LIMITED|FULL)/.test(to) && !effect(step, 'setTier'),
    );
    return { ghost, broken };
  },
};

type LoginGhost = { shown: Factor['level'][]; code: boolean; wrong: number; password: number | null };

/** A password that came back with a backup needs a code to its contact. */
const needsCode = ({ subject, method }: LoginContext): boolean =>
  method === 'password' && subject?.passwordRestored === true;

/** What a login must not pass without; told again here on purpose. */
function needed({ subject, method, firstProof, highRisk }: LoginContext): Factor['level'] | null {
  if (!subject || method === 'signup' || firstProof === 'aal2') return null;
  if (subject.mfa) return 'second';
  const asks =
    subject.factors.some((f) => f.kind === 'pin') &&
    (!subject.knownDevice || subject.trustedDevice === false || highRisk);
  return asks ? 'presence' : null;
}

/** The factor, where the account has it and its code went elsewhere than what the login began by. */
const answering = (
  subject: Subject | null,
  contactId: string | null,
  id: string | null,
): Factor | undefined =>
  subject?.factors.find((f) => f.id === id && !(f.contactId && f.contactId === contactId));

export const loginMonitor: Monitor<LoginGhost> = {
  start: { shown: [], code: false, wrong: 0, password: null },
  watch(step, before) {
    const { broken, never, event, was, is, to } = read<LoginEvent, LoginContext>('login', step);
    const ghost = { ...before };
    const used = effect(step, 'useFactor')?.factorId ?? null;
    if (event.type === 'PRIMARY_PROVED') {
      ghost.password = event.subject?.passwordVersion ?? null;
      const factor = answering(event.subject, event.contactId, event.answered);
      ghost.shown = factor ? [factor.level] : [];
      never('an answer that came along is not used up', used !== event.answered);
    }
    if (event.type === 'STEP_UP_ANSWERED') {
      const factor = answering(event.subject, was.contactId, event.factorId);
      const good =
        event.ok && event.now < (was.dueAt ?? 0) && event.subject?.accountId === was.subject?.accountId;
      const code = event.factorId === 'login_code' && needsCode({ ...was, subject: event.subject });
      const levelShown =
        was.required === null || ghost.shown.includes('second') || ghost.shown.includes(was.required);
      const level =
        factor && (factor.level === 'second' || was.required === 'presence') ? factor.level : null;
      const right = good && (code ? !ghost.code : level !== null && !levelShown);
      const shown = code ? 'presence' : level;
      if (right && shown) ghost.shown = [...new Set([...ghost.shown, shown])].sort();
      ghost.code ||= right && code;
      if (right) never('a right answer counts as wrong', is.attemptsLeft < was.attemptsLeft);
      else ghost.wrong += 1;
      never('the last wrong answer does not deny', ghost.wrong >= 2 && to !== 'L6_result.DENIED');
      never('a wrong answer uses something up', !right && used !== null);
      never('a right answer can be given again', right && used !== event.factorId);
      const counted = effect(step, 'countFactorFailure')?.factorId;
      never('a wrong answer is not counted', !right && counted !== event.factorId);
      never('a right answer is counted', right && counted !== undefined);
    }
    never(
      'password failures are cleared by something else',
      !!effect(step, 'clearLoginFailures') &&
        !(event.type === 'PRIMARY_PROVED' && event.method === 'password'),
    );
    const sent = effect(step, 'sendLoginCode')?.contactId ?? null;
    const codeDue =
      event.type === 'PRIMARY_PROVED' && !event.codeSuppressed && to === 'L4_step_up' && needsCode(is);
    never('a code is sent that no login waits for, or none that one waits for', (sent !== null) !== codeDue);
    never('a code goes to another contact', sent !== null && sent !== is.contactId);
    const session = effect(step, 'openSession');
    const confirmed = effect(step, 'confirmPassword')?.accountId ?? null;
    never('a restored password is trusted without a code', confirmed !== null && !(session && ghost.code));
    if (session) {
      never('a session by a restored password without a code', needsCode(is) && !ghost.code);
      never('a session for nobody', is.subject === null);
      never('a session of an account that is not active', is.subject?.status !== 'active');
      never('a session begun under another password', ghost.password !== is.subject?.passwordVersion);
      never('a session by an unproven contact', is.subject?.contactProven === false);
      never('a session below LIMITED', is.subject?.tier !== 'LIMITED' && is.subject?.tier !== 'FULL');
      const level = needed(is);
      never('a session without its step-up', level !== null && ghost.shown.length === 0);
      never('a session without its second factor', level === 'second' && !ghost.shown.includes('second'));
      const two = ghost.shown.includes('second') || is.firstProof === 'aal2';
      never('a session claims a factor it has not shown', session.acr !== (two ? 'aal2' : 'aal1'));
      never('a LIMITED session may do everything', is.subject?.tier !== 'FULL' && is.scope.includes('*'));
    }
    never('AUTHENTICATED without a session', to === 'L6_result.AUTHENTICATED' && !session);
    never('a session while a person must act', !!session && to !== 'L6_result.AUTHENTICATED');
    never('attempts below zero', is.attemptsLeft < 0);
    return { ghost, broken };
  },
};

type ChallengeFacts = { code: Code; contactId: string; accountId: string | null; purpose: string };

export const challengeMonitor: Monitor<null> = {
  start: null,
  watch(step, ghost) {
    const { broken, never, event, was, is } = read<ChallengeEvent, ChallengeFacts>('challenge', step);
    codeRules(step, never);
    const proved = event.type === 'CODE_CHECKED' && proves(was.code, event);
    never('verified without proof', stateOf(step.after) === 'verified' && !proved);
    never('a flow opens without proof', !!effect(step, 'openFlow') && !proved);
    never('a contact is taken without proof', !!effect(step, 'claimContact') && !proved);
    never('a contact is taken for nobody', effect(step, 'claimContact')?.accountId === '');
    const opened = effect(step, 'openFlow')?.machine;
    never(
      'a contact is taken, and nothing is opened that tells the owner',
      !!effect(step, 'claimContact') !== (opened === 'contact_change'),
    );
    never('a login opens by a code for something else', opened === 'login' && was.accountId !== null);
    never('failures are cleared without proof', !!effect(step, 'clearFailures') && !proved);
    const under = stateOf(step.before) !== 'idle';
    never('a resend changes whom it is for', under && was.contactId !== is.contactId);
    never(
      'a resend changes what it is for',
      under && (was.purpose !== is.purpose || was.accountId !== is.accountId),
    );
    return { ghost, broken };
  },
};

export const recoveryMonitor: Monitor<null> = {
  start: null,
  watch(step, ghost) {
    const { broken, never, event, was } = read<RecoveryEvent, RecoveryContext>('recovery', step);
    const asked = event.type === 'RESET_REQUESTED' ? event : null;
    const mail = !!effect(step, 'sendMail') && asked !== null;
    never('a suppressed mail is sent', mail && asked.suppressed);
    never('a link is sent for nobody', mail && asked.accountId === null);
    never('a link is sent where there is no password', mail && asked.passwordVersion === null);
    const stored = !!effect(step, 'storeCredentials');
    never('a password is set late', stored && event.now >= (was.dueAt ?? 0));
    never(
      'a password is set by a void token',
      stored && event.type === 'PASSWORD_RESET' && event.passwordVersion !== was.passwordVersion,
    );
    never(
      'a password is set through an address that is not the account’s',
      stored &&
        event.type === 'PASSWORD_RESET' &&
        effect(step, 'storeCredentials')?.accountId !== event.ownerId,
    );
    never('a password is set and the owner is not told', stored && !effect(step, 'notifyOwner'));
    never('a password is set and sessions live on', stored && !effect(step, 'endSessions'));
    return { ghost, broken };
  },
};

export const contactChangeMonitor: Monitor<null> = {
  start: null,
  watch(step, ghost) {
    const { broken, never, event, was, is, to } = read<ContactChangeEvent, ContactChangeContext>(
      'contact_change',
      step,
    );
    const [told, released, restored] = ['notifyOwner', 'releaseContact', 'restoreContact'].map((type) =>
      effect(step, type),
    );
    if (event.type === 'CONTACT_ADDED' || event.type === 'CONTACT_REMOVED') {
      never('a change is not told', told?.accountId !== event.accountId);
      never('a link for nobody', to === 'undoable' && event.readers.length === 0);
      never('an old address gets no link', to !== 'undoable' && event.readers.length > 0);
      never('a link for somebody else', JSON.stringify(told?.linkTo) !== JSON.stringify(event.readers));
      never('the wrong way round', is.purpose !== (event.type === 'CONTACT_ADDED' ? 'added' : 'removed'));
      never(
        'a link lives for another time than it has',
        to === 'undoable' && effect(step, 'extendToken')?.ttlMs !== event.ttlMs,
      );
      never('what is removed stays', !!released !== (event.type === 'CONTACT_REMOVED'));
      never('a removal leaves an account without a contact', !!released && released.successor !== null);
    }
    if (event.type === 'CHANGE_UNDONE') {
      const added = was.purpose === 'added';
      never('a change is undone late', event.now >= (was.dueAt ?? 0));
      never('nothing is undone', !released && !restored);
      never('a contact is taken from somebody else', !!released && event.ownerId !== was.accountId);
      never('a removal is undone by another one', !!released && !added);
      never(
        'an account is left without a contact',
        !!released && event.othersLeft === 0 && restored?.contactId !== was.previousId,
      );
      const free = added ? event.previousFree : event.ownerId === null;
      never('a contact is taken back from somebody else', !!restored && !free);
      never('nothing is taken back', restored?.contactId === '');
      never('the old one is free and stays away', added && free && was.previousId !== null && !restored);
      never('it is undone and the owner is not told', told?.accountId !== was.accountId);
      never('a link that undoes the undoing', told?.linkTo !== undefined);
      for (const end of ['endSessions', 'endProofs'])
        never(`it is undone without ${end}`, effect(step, end)?.accountId !== was.accountId);
    }
    never('a contact goes or comes by time', event.type === 'EXPIRE' && (!!released || !!restored));
    return { ghost, broken };
  },
};

/** How often it was set up and confirmed, and whether it has ended. */
type FactorGhost = { confirmed: boolean; ended: boolean; wrong: number };

export const factorMonitor: Monitor<FactorGhost> = {
  start: { confirmed: false, ended: false, wrong: 0 },
  watch(step, before) {
    const { broken, never, event, was, to } = read<FactorEvent, FactorContext>('factor', step);
    const ghost = { ...before };
    const did = (type: string) => effect(step, type) !== undefined;
    if (event.type === 'CONFIRMED') {
      const right = event.ok && event.now < (was.dueAt ?? 0);
      if (!right) ghost.wrong += 1;
      never('a factor counts without a right answer', did('confirmFactor') && !right);
      never('a right answer confirms nothing', right && !did('confirmFactor'));
      never('the last wrong answer leaves it to be tried', ghost.wrong >= 2 && to !== 'abandoned');
      never(
        'it is given up while answers are left',
        to === 'abandoned' && ghost.wrong < 2 && event.now < (was.dueAt ?? 0),
      );
      never('backup codes without a factor', did('storeBackupCodes') && !right);
      never('backup codes that were not due', right && did('storeBackupCodes') !== event.codesDue);
      ghost.confirmed ||= right;
    } else never('it counts by something else', did('confirmFactor') || did('storeBackupCodes'));
    const ends = did('endFactor');
    const proven = (event.type === 'DISABLED' || event.type === 'REPLACED') && event.authorized;
    never('a factor ends without its owner', ends && !proven);
    never('an ended factor goes on', ghost.ended);
    never('a factor ends that never counted', ends && !ghost.confirmed);
    never('a setup is dropped that counts', did('dropFactor') && ghost.confirmed);
    if (event.type === 'DISABLED')
      never('backup codes outlive the last factor', did('dropBackupCodes') === event.othersLeft);
    const changes = did('confirmFactor') || (ends && event.type === 'DISABLED');
    never('a factor comes or goes and the owner is not told', changes && !did('notifyOwner'));
    never('a factor comes or goes and sessions keep what they had', changes && !did('downgradeSessions'));
    never(
      'the session that asks loses what it has just shown',
      changes && 'sessionId' in event && effect(step, 'downgradeSessions')?.except !== event.sessionId,
    );
    ghost.ended ||= ends;
    return { ghost, broken };
  },
};

export const tradingLinkMonitor: Monitor<null> = {
  start: null,
  watch(step, ghost) {
    const { broken, never, event, was, is, from, to } = read<TradingLinkEvent, TradingLinkContext>(
      'trading_link',
      step,
    );
    const did = (type: string) => effect(step, type)?.linkId === is.linkId;
    if (event.type === 'LINKED' || event.type === 'ROTATED') {
      never('credentials work without a token that was accepted', to === 'active' && event.proof === null);
      never('an accepted token is not believed', to !== 'active' && event.proof !== null);
      never('credentials are not stored', !did(event.type === 'LINKED' ? 'storeLink' : 'replaceCredentials'));
    }
    never(
      'a rotation undoes one that came between',
      event.type === 'ROTATED' && event.generation !== was.generation + 1,
    );
    if (event.type === 'CHECKED') {
      const late = event.now >= (was.tokenEndsAt ?? 0);
      never('a check of earlier credentials counts', event.generation !== was.generation);
      never('a check is remembered otherwise', is.lastCheck?.outcome !== event.outcome);
      never('a broker that does not answer moves it', event.outcome === 'unreachable' && to !== from);
      never('what works is not active', event.outcome === 'valid' && to !== 'active');
      never('what is refused is active', event.outcome === 'refused' && to === 'active');
      const judged = event.outcome === 'refused' && from === 'active';
      never('a wrong key passes for an ended token', judged && to === 'credentials_expired' && !late);
      never('an ended token passes for a wrong key', judged && to === 'error' && late);
    }
    never('what works is never looked at again', to === 'active' && is.dueAt === null);
    never(
      'time does more than ask the broker',
      event.type === 'EXPIRE' && (to !== from || !did('requestBrokerCheck')),
    );
    for (const end of ['shredCredentials', 'endShares'])
      never(`${end} happens when it is not unlinked, or does not`, did(end) !== (to === 'deactivated'));
    return { ghost, broken };
  },
};

export const monitors: Record<MachineId, Monitor<never>> = {
  signup: signupMonitor as never,
  login: loginMonitor as never,
  challenge: challengeMonitor as never,
  recovery: recoveryMonitor as never,
  contact_change: contactChangeMonitor as never,
  factor: factorMonitor as never,
  trading_link: tradingLinkMonitor as never,
};
