/** The limits of the service, one variable each. Windows slide; every decision is taken atomically elsewhere. */
import { integer, type Limit, limit } from './parsers.ts';
import { optional, type Reading, setting } from './read.ts';

/** Field name in `config.limits` beside the variable that sets it. */
const NAMES = {
  codeSendCooldown: 'LIMIT_CODE_SEND_COOLDOWN',
  codeSend: 'LIMIT_CODE_SEND',
  codeSendDaily: 'LIMIT_CODE_SEND_DAILY',
  codeSendNetwork: 'LIMIT_CODE_SEND_NETWORK',
  sendCodeNetwork: 'LIMIT_API_SEND_CODE_NETWORK',
  codeCheck: 'LIMIT_CODE_CHECK',
  codeCheckDaily: 'LIMIT_CODE_CHECK_DAILY',
  codeCheckNetwork: 'LIMIT_CODE_CHECK_NETWORK',
  passwordLogin: 'LIMIT_PASSWORD_LOGIN',
  passwordLoginNetwork: 'LIMIT_PASSWORD_LOGIN_NETWORK',
  register: 'LIMIT_REGISTER',
  registerNetwork: 'LIMIT_REGISTER_NETWORK',
  resetRequest: 'LIMIT_RESET_REQUEST',
  resetRequestNetwork: 'LIMIT_RESET_REQUEST_NETWORK',
  resendVerification: 'LIMIT_RESEND_VERIFICATION',
  resendVerificationNetwork: 'LIMIT_RESEND_VERIFICATION_NETWORK',
  passwordReset: 'LIMIT_PASSWORD_RESET',
  passwordResetNetwork: 'LIMIT_PASSWORD_RESET_NETWORK',
  refresh: 'LIMIT_REFRESH',
  secondFactor: 'LIMIT_SECOND_FACTOR',
  secondFactorNetwork: 'LIMIT_SECOND_FACTOR_NETWORK',
  smsRange: 'LIMIT_SMS_RANGE',
  smsCountry: 'LIMIT_SMS_COUNTRY',
  smsAll: 'LIMIT_SMS_ALL',
  smsDaily: 'LIMIT_SMS_DAILY',
  user: 'LIMIT_USER',
  network: 'LIMIT_NETWORK',
} as const;

export type LimitName = keyof typeof NAMES;

const minutes = integer(1, 1440);

export const LIMIT_VARIABLES = {
  LIMIT_CODE_SEND_COOLDOWN: setting(limit, '1/30s', 'Codes sent to one identifier, per purpose: pause'),
  LIMIT_CODE_SEND: setting(limit, '3/5m', 'Codes sent to one identifier, per purpose: burst'),
  LIMIT_CODE_SEND_DAILY: setting(limit, '10/1d', 'Codes sent to one identifier, per purpose: day'),
  LIMIT_CODE_SEND_NETWORK: setting(limit, '30/1h', 'Codes sent on request of one network'),
  LIMIT_API_SEND_CODE_NETWORK: setting(limit, '10/1m', 'Calls of `/api/v1/auth/send-code` by one network'),
  LIMIT_CODE_CHECK: setting(limit, '10/1h', 'Code checks for one identifier over all its codes'),
  LIMIT_CODE_CHECK_DAILY: setting(limit, '20/1d', 'Code checks for one identifier over all its codes: day'),
  LIMIT_CODE_CHECK_NETWORK: setting(limit, '60/1h', 'Code checks by one network'),
  LIMIT_PASSWORD_LOGIN: setting(limit, '5/15m', 'Failed password logins of one identifier (durable)'),
  LIMIT_PASSWORD_LOGIN_NETWORK: setting(limit, '20/15m', 'Failed password logins by one network'),
  LIMIT_REGISTER: setting(limit, '5/1h', 'Registrations of one identifier'),
  LIMIT_REGISTER_NETWORK: setting(limit, '5/1h', 'Registrations by one network'),
  LIMIT_RESET_REQUEST: setting(limit, '5/1h', 'Password reset requests for one identifier'),
  LIMIT_RESET_REQUEST_NETWORK: setting(limit, '5/1h', 'Password reset requests by one network'),
  LIMIT_RESEND_VERIFICATION: setting(limit, '5/1h', 'Verification messages sent again to one identifier'),
  LIMIT_RESEND_VERIFICATION_NETWORK: setting(
    limit,
    '5/1h',
    'Verification messages sent again for one network',
  ),
  LIMIT_PASSWORD_RESET: setting(limit, '10/1h', 'Password resets of one identifier'),
  LIMIT_PASSWORD_RESET_NETWORK: setting(limit, '10/1h', 'Password resets by one network'),
  LIMIT_REFRESH: setting(limit, '10/1m', 'Token refreshes of one session'),
  LIMIT_SECOND_FACTOR: setting(limit, '5/15m', 'Second-factor checks per account and factor'),
  LIMIT_SECOND_FACTOR_NETWORK: setting(limit, '60/1h', 'Second-factor checks by one network'),
  LIMIT_SMS_RANGE: setting(limit, '10/10m', 'SMS to one number range (first 8 digits)'),
  LIMIT_SMS_COUNTRY: setting(limit, '100/1h', 'SMS to one country'),
  LIMIT_SMS_ALL: setting(limit, '30/1m', 'SMS altogether'),
  LIMIT_SMS_DAILY: setting(limit, '5000/1d', 'SMS altogether: the daily spend cap'),
  LIMIT_USER: setting(limit, '300/1m', 'Everything else, per user'),
  LIMIT_NETWORK: setting(limit, '600/1m', 'Everything else, per network'),
  RATELIMIT_LOGIN_ATTEMPTS: optional(integer(1, 1e6), 'Count of `LIMIT_PASSWORD_LOGIN`, older form'),
  RATELIMIT_LOGIN_WINDOW_MINUTES: optional(minutes, 'Window of `LIMIT_PASSWORD_LOGIN`, older form'),
  RATELIMIT_REGISTER_ATTEMPTS: optional(integer(1, 1e6), 'Count of `LIMIT_REGISTER` and its network twin'),
  RATELIMIT_REGISTER_WINDOW_HOURS: optional(
    integer(1, 720),
    'Window of `LIMIT_REGISTER` and its network twin',
  ),
  RATELIMIT_REFRESH_ATTEMPTS: optional(integer(1, 1e6), 'Count of `LIMIT_REFRESH`, older form'),
  RATELIMIT_REFRESH_WINDOW_MINUTES: optional(minutes, 'Window of `LIMIT_REFRESH`, older form'),
};

/** The demo keeps every limit in force but lets it heal within a minute; a variable that is set still wins. */
const demoLimit = (name: LimitName, { max, windowS }: Limit): Limit =>
  name === 'codeSendCooldown'
    ? { max: 1, windowS: 1 }
    : windowS <= 60
      ? { max, windowS }
      : { max: Math.max(max, 20), windowS: 60 };

/** Effective limits: `LIMIT_*` over `RATELIMIT_*` over the default. */
export function limitsOf(
  { values, source }: Reading<typeof LIMIT_VARIABLES>,
  demo: boolean,
): Record<LimitName, Limit> {
  const hours = values.RATELIMIT_REGISTER_WINDOW_HOURS;
  const register = [values.RATELIMIT_REGISTER_ATTEMPTS, hours === null ? null : hours * 60] as const;
  const older: Partial<Record<LimitName, readonly [count: number | null, minutes: number | null]>> = {
    passwordLogin: [values.RATELIMIT_LOGIN_ATTEMPTS, values.RATELIMIT_LOGIN_WINDOW_MINUTES],
    register,
    registerNetwork: register,
    refresh: [values.RATELIMIT_REFRESH_ATTEMPTS, values.RATELIMIT_REFRESH_WINDOW_MINUTES],
  };
  const effective = (name: LimitName): Limit => {
    const value = values[NAMES[name]];
    if (source(NAMES[name])) return value;
    const [count, windowMinutes] = older[name] ?? [null, null];
    if (count === null && windowMinutes === null) return demo ? demoLimit(name, value) : value;
    return {
      max: count ?? value.max,
      windowS: windowMinutes === null ? value.windowS : windowMinutes * 60,
    };
  };
  return Object.fromEntries(
    (Object.keys(NAMES) as LimitName[]).map((name) => [name, effective(name)]),
  ) as Record<LimitName, Limit>;
}
