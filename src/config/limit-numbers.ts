/** Every rate-limit number in one table. Nothing else may hold one; a deployment overrides single entries. */

/** At most `limit` units in any span of `windowMs`. */
export type Window = { limit: number; windowMs: number };

export type LimitNumbers = {
  /** Least time between two codes for one identifier and purpose. */
  codeSendCooldownMs: number;
  codeSendBurst: Window;
  codeSendDaily: Window;
  codeSendNetwork: Window;
  /** Replaces `codeSendNetwork` for `POST /api/v1/auth/send-code`, whose contract names its own number. */
  sendCodeNetwork: Window;
  codeCheckNetwork: Window;
  passwordLoginNetwork: Window;
  registerIdentifier: Window;
  registerNetwork: Window;
  /** Reset requests and resent verifications. */
  recoveryIdentifier: Window;
  recoveryNetwork: Window;
  passwordResetIdentifier: Window;
  passwordResetNetwork: Window;
  /** Passwords hashed for sign-ups under way, per flow. */
  setPasswordFlow: Window;
  setPasswordNetwork: Window;
  refreshSession: Window;
  secondFactorNetwork: Window;
  /** Credentials of trading accounts shown in clear, per account. */
  revealUser: Window;
  /** Calls of a broker that a person causes. */
  brokerUser: Window;
  /** All mail kinds together; beyond it nothing is sent. */
  mailRecipient: Window;
  /** First eight digits of a phone number; beyond the four SMS caps nothing is sent. */
  smsRange: Window;
  smsCountry: Window;
  smsGlobal: Window;
  smsDaily: Window;
  /** Everything else. */
  user: Window;
  network: Window;
  /** An IPv6 /48 may use this many times what one of its /64 networks may. */
  siteFactor: number;
  /** Retry-After is rounded up to a multiple of this, so that it does not name the bucket. */
  retryStepMs: number;
};

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const per = (windowMs: number) => (limit: number) => ({ limit, windowMs });
const perMinute = per(MINUTE);
const perHour = per(HOUR);
const perDay = per(DAY);

export const defaultLimits: LimitNumbers = {
  codeSendCooldownMs: 30 * SECOND,
  codeSendBurst: { limit: 3, windowMs: 5 * MINUTE },
  codeSendDaily: perDay(10),
  codeSendNetwork: perHour(30),
  sendCodeNetwork: perMinute(10),
  codeCheckNetwork: perHour(60),
  passwordLoginNetwork: { limit: 20, windowMs: 15 * MINUTE },
  registerIdentifier: perHour(5),
  registerNetwork: perHour(5),
  recoveryIdentifier: perHour(5),
  recoveryNetwork: perHour(5),
  passwordResetIdentifier: perHour(10),
  passwordResetNetwork: perHour(10),
  setPasswordFlow: perHour(10),
  setPasswordNetwork: perHour(60),
  refreshSession: perMinute(10),
  secondFactorNetwork: perHour(60),
  revealUser: perHour(5),
  brokerUser: perHour(60),
  mailRecipient: perHour(10),
  smsRange: { limit: 10, windowMs: 10 * MINUTE },
  smsCountry: perHour(100),
  smsGlobal: perMinute(30),
  smsDaily: perDay(2000),
  user: perMinute(300),
  network: perMinute(600),
  siteFactor: 10,
  retryStepMs: 30 * SECOND,
};

/** Enforced, but whoever runs into one is out again within a minute. */
export const demoLimits: LimitNumbers = {
  codeSendCooldownMs: SECOND,
  codeSendBurst: perMinute(20),
  codeSendDaily: perMinute(20),
  codeSendNetwork: perMinute(60),
  sendCodeNetwork: perMinute(20),
  codeCheckNetwork: perMinute(20),
  passwordLoginNetwork: perMinute(30),
  registerIdentifier: perMinute(20),
  registerNetwork: perMinute(60),
  recoveryIdentifier: perMinute(20),
  recoveryNetwork: perMinute(60),
  passwordResetIdentifier: perMinute(20),
  passwordResetNetwork: perMinute(60),
  setPasswordFlow: perMinute(20),
  setPasswordNetwork: perMinute(60),
  refreshSession: perMinute(60),
  secondFactorNetwork: perMinute(60),
  revealUser: perMinute(5),
  brokerUser: perMinute(60),
  mailRecipient: perMinute(60),
  smsRange: perMinute(200),
  smsCountry: perMinute(300),
  smsGlobal: perMinute(600),
  smsDaily: perMinute(600),
  user: perMinute(300),
  network: perMinute(600),
  siteFactor: 10,
  retryStepMs: SECOND,
};
