/** Which variable overrides which entry of the table of limits. The numbers themselves stand in `src/config/limit-numbers.ts`. */
import { defaultLimits, demoLimits, type LimitNumbers, type Window } from './limit-numbers.ts';
import { integer, limit } from './parsers.ts';
import { optional, type Reading, setting } from './read.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Counted in the database, because forgetting them would give guesses back. Per identifier, or account and factor. */
export type DurableLimits = {
  codeCheckDaily: Window;
  passwordLogin: Window;
  secondFactor: Window;
};

const durable: DurableLimits = {
  codeCheckDaily: { limit: 20, windowMs: 24 * HOUR },
  passwordLogin: { limit: 5, windowMs: 15 * MINUTE },
  secondFactor: { limit: 5, windowMs: 15 * MINUTE },
};
const durableDemo = Object.fromEntries(
  Object.keys(durable).map((name) => [name, { limit: 20, windowMs: MINUTE }]),
) as DurableLimits;

export type Limits = Readonly<LimitNumbers & DurableLimits>;

const usual: Limits = { ...defaultLimits, ...durable };
const demonstrated: Limits = { ...demoLimits, ...durableDemo };

type WindowName = {
  [K in keyof Limits]: Limits[K] extends Window ? K : never;
}[keyof Limits];

const SPANS = [
  ['d', 24 * HOUR],
  ['h', HOUR],
  ['m', MINUTE],
  ['s', 1000],
] as const;

/** The form the variables are written in: `5/15m`. */
function shown({ limit: count, windowMs }: Window): string {
  const [unit, span] = SPANS.find(([, ms]) => windowMs % ms === 0) ?? SPANS[3];
  return `${count}/${windowMs / span}${unit}`;
}

const window = (name: WindowName, description: string) =>
  Object.assign(setting(limit, shown(usual[name]), description), { sets: name });

const WINDOWS = {
  LIMIT_CODE_SEND: window('codeSendBurst', 'Codes sent to one identifier, per purpose: burst'),
  LIMIT_CODE_SEND_DAILY: window('codeSendDaily', 'Codes sent to one identifier, per purpose: day'),
  LIMIT_CODE_SEND_NETWORK: window('codeSendNetwork', 'Codes sent on request of one network'),
  LIMIT_API_SEND_CODE_NETWORK: window(
    'sendCodeNetwork',
    'Calls of `/api/v1/auth/send-code` from one network',
  ),
  LIMIT_CODE_CHECK_DAILY: window(
    'codeCheckDaily',
    'Wrong codes for one identifier over all its codes: a quarter from one network, half for all callers together, the other half kept for known devices and for token holders on networks without a failure',
  ),
  LIMIT_CODE_CHECK_NETWORK: window('codeCheckNetwork', 'Code checks from one network'),
  LIMIT_PASSWORD_LOGIN: window(
    'passwordLogin',
    'Failed password logins of one account, over all its identifiers',
  ),
  LIMIT_PASSWORD_LOGIN_NETWORK: window('passwordLoginNetwork', 'Password logins from one network'),
  LIMIT_REGISTER: window('registerIdentifier', 'Registrations of one identifier'),
  LIMIT_REGISTER_NETWORK: window('registerNetwork', 'Registrations from one network'),
  LIMIT_RECOVERY: window('recoveryIdentifier', 'Reset requests and resent verifications of one identifier'),
  LIMIT_RECOVERY_NETWORK: window('recoveryNetwork', 'The same from one network'),
  LIMIT_PASSWORD_RESET: window(
    'passwordResetIdentifier',
    'Uses of one link that sets a password or undoes a change of contacts',
  ),
  LIMIT_PASSWORD_RESET_NETWORK: window('passwordResetNetwork', 'The same from one network'),
  LIMIT_SET_PASSWORD: window('setPasswordFlow', 'Passwords hashed for one sign-up under way'),
  LIMIT_SET_PASSWORD_NETWORK: window('setPasswordNetwork', 'Passwords hashed for sign-ups from one network'),
  LIMIT_REFRESH: window('refreshSession', 'Token refreshes of one session'),
  LIMIT_SECOND_FACTOR: window('secondFactor', 'Second-factor checks per account and factor'),
  LIMIT_SECOND_FACTOR_NETWORK: window('secondFactorNetwork', 'Second-factor checks from one network'),
  LIMIT_REVEAL: window('revealUser', 'Credentials of trading accounts shown in clear, per user'),
  LIMIT_BROKER: window('brokerUser', 'Calls of a broker caused by one user'),
  LIMIT_MAIL: window('mailRecipient', 'Mail of all kinds to one address; beyond it nothing is sent'),
  LIMIT_SMS_RANGE: window('smsRange', 'SMS to one number range (first 8 digits); beyond it nothing is sent'),
  LIMIT_SMS_COUNTRY: window('smsCountry', 'SMS to one country'),
  LIMIT_SMS_ALL: window('smsGlobal', 'SMS altogether; a fifth is kept for numbers with an account'),
  LIMIT_SMS_DAILY: window('smsDaily', 'SMS altogether: the daily spend cap, with the same reserve'),
  LIMIT_USER: window('user', 'Everything else, per user'),
  LIMIT_NETWORK: window('network', 'Everything else, per network'),
};

const attempts = integer(1, 1e6);
const minutes = integer(1, 1440);

export const LIMIT_VARIABLES = {
  LIMIT_CODE_SEND_COOLDOWN_SECONDS: setting(
    integer(1, 3600),
    String(usual.codeSendCooldownMs / 1000),
    'Least time between two codes for one identifier and purpose',
  ),
  ...WINDOWS,
  RATELIMIT_LOGIN_ATTEMPTS: optional(attempts, 'Count of LIMIT_PASSWORD_LOGIN, older form'),
  RATELIMIT_LOGIN_WINDOW_MINUTES: optional(minutes, 'Window of LIMIT_PASSWORD_LOGIN, older form'),
  RATELIMIT_REGISTER_ATTEMPTS: optional(attempts, 'Count of LIMIT_REGISTER and LIMIT_REGISTER_NETWORK'),
  RATELIMIT_REGISTER_WINDOW_HOURS: optional(integer(1, 720), 'Window of the same two'),
  RATELIMIT_REFRESH_ATTEMPTS: optional(attempts, 'Count of LIMIT_REFRESH, older form'),
  RATELIMIT_REFRESH_WINDOW_MINUTES: optional(minutes, 'Window of LIMIT_REFRESH, older form'),
};

/** `LIMIT_*` over `RATELIMIT_*` over the table, which is the lenient one in the demo. */
export function limitsOf({ values, source }: Reading<typeof LIMIT_VARIABLES>, demo: boolean): Limits {
  const base = demo ? demonstrated : usual;
  const older = (name: WindowName, max: number | null, span: number | null, unitMs: number) => {
    const { limit: count, windowMs } = (max === null && span === null ? base : usual)[name];
    return { [name]: { limit: max ?? count, windowMs: span === null ? windowMs : span * unitMs } };
  };
  const names = Object.keys(WINDOWS) as (keyof typeof WINDOWS)[];
  const register = [
    values.RATELIMIT_REGISTER_ATTEMPTS,
    values.RATELIMIT_REGISTER_WINDOW_HOURS,
    HOUR,
  ] as const;
  return {
    ...base,
    ...older('passwordLogin', values.RATELIMIT_LOGIN_ATTEMPTS, values.RATELIMIT_LOGIN_WINDOW_MINUTES, MINUTE),
    ...older('registerIdentifier', ...register),
    ...older('registerNetwork', ...register),
    ...older(
      'refreshSession',
      values.RATELIMIT_REFRESH_ATTEMPTS,
      values.RATELIMIT_REFRESH_WINDOW_MINUTES,
      MINUTE,
    ),
    ...Object.fromEntries(
      names.filter((name) => source(name) !== null).map((name) => [WINDOWS[name].sets, values[name]]),
    ),
    ...(source('LIMIT_CODE_SEND_COOLDOWN_SECONDS') === null
      ? {}
      : { codeSendCooldownMs: values.LIMIT_CODE_SEND_COOLDOWN_SECONDS * 1000 }),
  };
}
