/**
 * Which buckets each call draws from, one atomic decision per call. Buckets are per identifier and per network,
 * never per pair of them; identifiers and addresses reach the store as keyed hashes only.
 */

import type { LimitRule, LimitStore } from '../../adapters/limits/store.ts';
import type { LimitNumbers, Window } from '../../config/limit-numbers.ts';
import { isReplay, type KeyedRun } from '../../engine/keyed-run.ts';
import type { Clock } from '../../kernel/clock.ts';
import { rememberText } from '../../kernel/crypto/remembered-hash.ts';
import { createModes, type Decision } from './decide.ts';
import { siteOf } from './network.ts';
import { createReports, type LimitLog, type Reports } from './reports.ts';

export { defaultLimits, demoLimits, type LimitNumbers, type Window } from '../../config/limit-numbers.ts';
export type { Decision } from './decide.ts';

/** Who asks: a request that had its effect in an earlier run draws from no bucket again. */
type Asking = { idempotency?: KeyedRun | null };

export type CodeSend = {
  purpose: string;
  /** Canonical phone or e-mail address, so that all spellings share a bucket. */
  identifier: string;
  /** As `networkOf` gives it, here and below. */
  network: string;
  /** First eight digits of the phone number. With `range` or `country` the SMS caps apply; e-mail gives neither. */
  range?: string;
  /** Null for a number of no single country. */
  country?: string | null;
  networkClass?: 'send-code';
  /** Whether the identifier is an account's, which has a part of all SMS to itself. Asked only when the rest is used up. */
  hasAccount?: () => Promise<boolean>;
};

/** Of all SMS, what goes to numbers without an account. */
const FOR_STRANGERS = 4 / 5;
const STRANGERS_CAPPED = 'SMS cap for numbers without an account reached: their codes are not sent';
const ALL_CAPPED = 'SMS cap reached: no SMS is sent';

/** Every decision throws Problem `rate_limited`; all but `refresh` and `user` may throw `dependency_unavailable`. */
export type Limits = {
  codeSend(call: CodeSend, asking?: Asking): Promise<Decision>;
  codeCheck(call: { network: string }, asking?: Asking): Promise<Decision>;
  passwordLogin(call: { network: string }, asking?: Asking): Promise<Decision>;
  register(call: { identifier: string; network: string }): Promise<Decision>;
  /** Reset requests and resent verifications. */
  recoveryRequest(call: { identifier: string; network: string }, asking?: Asking): Promise<Decision>;
  /** Null: what was sent names nothing, so that only its network is counted. */
  passwordReset(call: { identifier: string | null; network: string }): Promise<Decision>;
  /** Taken before the hash of a sign-up's password. */
  setPassword(call: { flowId: string; network: string }): Promise<Decision>;
  refresh(call: { sessionId: string }): Promise<Decision>;
  secondFactor(call: { network: string }): Promise<Decision>;
  /** Credentials shown in clear. */
  reveal(call: { accountId: string }): Promise<Decision>;
  /** Calls of a broker that a person causes. */
  broker(call: { accountId: string }, asking?: Asking): Promise<Decision>;
  /** Never refuses: beyond the budget it answers `suppressed`. A mail that names itself takes one place, however often. */
  mail(call: { recipient: string; mailId?: string }): Promise<Decision>;
  /** A notice by SMS: the recipient's budget of notices and the SMS caps together. Never refuses. */
  smsNotice(call: {
    recipient: string;
    range: string;
    country: string | null;
    /** Takes one place of each, however often it is tried. */
    noticeId: string;
  }): Promise<Decision>;
  user(call: { accountId: string }): Promise<Decision>;
  /** Decisions taken without the shared counters since start, by control. */
  degraded(): Record<string, number>;
  /** Spending caps reached of late, as messages. */
  alarms(): string[];
  /** For the network-wide limit, which the HTTP plugin counts. */
  reports: Reports;
};

export function createLimits(options: {
  store: LimitStore;
  numbers: LimitNumbers;
  /** Keyed hash (HMAC) of an identifier or address. */
  hashKey: (text: string) => string;
  clock: Clock;
  log: LimitLog;
}): Limits {
  const { store, numbers, hashKey, clock, log } = options;
  const reports = createReports({ clock, log });
  const modes = createModes({ store, clock, retryStepMs: numbers.retryStepMs, reports });

  // Networks, countries and the whole come again and again; what names a person is not kept in memory.
  const rememberedKey = rememberText(hashKey);

  const refuse = (name: string, subject: string, window: Window, keyOf = hashKey): LimitRule => ({
    name,
    key: keyOf(`${name}:${subject}`),
    ...window,
    onExceed: 'refuse',
  });
  const suppress = (name: string, subject: string, window: Window, keyOf = hashKey): LimitRule => ({
    ...refuse(name, subject, window, keyOf),
    onExceed: 'suppress',
  });
  const fromNetwork = (name: string, network: string, window: Window): LimitRule[] => {
    const site = siteOf(network);
    const rule = refuse(`${name}-network`, network, window, rememberedKey);
    if (site === null) return [rule];
    return [
      rule,
      refuse(`${name}-site`, site, { ...window, limit: window.limit * numbers.siteFactor }, rememberedKey),
    ];
  };
  const overall = (name: string, window: Window, reserve: 'kept' | 'open'): LimitRule => {
    const all = suppress(name, 'all', window, rememberedKey);
    if (reserve === 'open') return { ...all, alarm: ALL_CAPPED };
    return { ...all, limit: Math.max(1, Math.floor(window.limit * FOR_STRANGERS)), alarm: STRANGERS_CAPPED };
  };
  const smsCaps = (
    { range, country = null }: Pick<CodeSend, 'range' | 'country'>,
    reserve: 'kept' | 'open',
  ): LimitRule[] => {
    if (range === undefined && country === null) return [];
    return [
      ...(range === undefined ? [] : [suppress('sms-range', range, numbers.smsRange)]),
      ...(country === null ? [] : [suppress('sms-country', country, numbers.smsCountry, rememberedKey)]),
      overall('sms-global', numbers.smsGlobal, reserve),
      overall('sms-daily', numbers.smsDaily, reserve),
    ];
  };
  const pair = (name: string, call: { identifier: string; network: string }, own: Window, shown: Window) => ({
    name,
    shown,
    rules: [refuse(`${name}-identifier`, call.identifier, own), ...fromNetwork(name, call.network, shown)],
  });
  const networkOnly = (name: string, network: string, shown: Window) => ({
    name,
    shown,
    rules: fromNetwork(name, network, shown),
  });

  const once =
    <Call>(decide: (call: Call) => Promise<Decision>) =>
    (call: Call, asking: Asking = {}): Promise<Decision> =>
      isReplay(asking) ? Promise.resolve({ suppressed: false, capped: [] }) : decide(call);

  return {
    codeSend: once(async (call: CodeSend) => {
      const facade = call.networkClass === 'send-code';
      const shown = facade ? numbers.sendCodeNetwork : numbers.codeSendNetwork;
      const subject = `${call.purpose}:${call.identifier}`;
      const rules = [
        refuse('code-send-cooldown', subject, { limit: 1, windowMs: numbers.codeSendCooldownMs }),
        refuse('code-send-burst', subject, numbers.codeSendBurst),
        refuse('code-send-daily', subject, numbers.codeSendDaily),
        ...fromNetwork(facade ? 'send-code' : 'code-send', call.network, shown),
        ...smsCaps(call, 'kept'),
      ];
      const decision = await modes.closed({ name: 'code-send', shown, rules });
      const overallFull = decision.capped.some((name) => name === 'sms-global' || name === 'sms-daily');
      if (!overallFull || !(await call.hasAccount?.())) return decision;
      // The identifier and the network have paid above. Without counters this is a 503 like any other send.
      return modes.closed({ name: 'code-send', shown, rules: smsCaps(call, 'open') });
    }),
    codeCheck: once(({ network }) =>
      modes.closed(networkOnly('code-check', network, numbers.codeCheckNetwork)),
    ),
    passwordLogin: once(({ network }) =>
      modes.bounded(networkOnly('password-login', network, numbers.passwordLoginNetwork)),
    ),
    register: (call) =>
      modes.closed(pair('register', call, numbers.registerIdentifier, numbers.registerNetwork)),
    recoveryRequest: once((call) =>
      modes.closed(pair('recovery', call, numbers.recoveryIdentifier, numbers.recoveryNetwork)),
    ),
    passwordReset({ identifier, network }) {
      const shown = numbers.passwordResetNetwork;
      if (identifier === null) return modes.closed(networkOnly('password-reset', network, shown));
      const call = { identifier, network };
      return modes.closed(pair('password-reset', call, numbers.passwordResetIdentifier, shown));
    },
    setPassword: ({ flowId, network }) =>
      modes.closed(
        pair(
          'set-password',
          { identifier: flowId, network },
          numbers.setPasswordFlow,
          numbers.setPasswordNetwork,
        ),
      ),
    refresh: ({ sessionId }) =>
      modes.open({
        name: 'refresh',
        shown: numbers.refreshSession,
        rules: [refuse('refresh-session', sessionId, numbers.refreshSession)],
      }),
    secondFactor: ({ network }) =>
      modes.closed(networkOnly('second-factor', network, numbers.secondFactorNetwork)),
    reveal: ({ accountId }) =>
      modes.closed({
        name: 'reveal',
        shown: numbers.revealUser,
        rules: [refuse('reveal', accountId, numbers.revealUser)],
      }),
    broker: once(({ accountId }) =>
      modes.closed({
        name: 'broker',
        shown: numbers.brokerUser,
        rules: [refuse('broker', accountId, numbers.brokerUser)],
      }),
    ),
    mail: ({ recipient, mailId }) => {
      const rule = suppress('mail-recipient', recipient, numbers.mailRecipient);
      const rules = [mailId === undefined ? rule : { ...rule, unit: mailId }];
      return modes.closed({ name: 'mail', shown: numbers.mailRecipient, rules });
    },
    smsNotice({ recipient, range, country, noticeId: unit }) {
      const own = suppress('sms-notice-recipient', recipient, numbers.mailRecipient);
      const rules = [own, ...smsCaps({ range, country }, 'open')];
      const named = rules.map((rule) => ({ ...rule, unit }));
      return modes.closed({ name: 'sms-notice', shown: numbers.mailRecipient, rules: named });
    },
    user: ({ accountId }) =>
      modes.open({
        name: 'user',
        shown: numbers.user,
        rules: [refuse('user', accountId, numbers.user)],
      }),
    degraded: reports.counts,
    alarms: reports.alarms,
    reports,
  };
}
