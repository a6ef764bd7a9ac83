/** One function per released snapshot version, each lifting a stored snapshot to the next. Never edit a released one. */
import type { Upgrade } from './module.ts';

const record = (x: unknown): Record<string, unknown> => (x ?? {}) as Record<string, unknown>;

/** Renames a leaf below one parent state; other values stay as they are. */
const renameLeaf = (value: unknown, parent: string, from: string, to: string): unknown =>
  record(value)[parent] === from ? { [parent]: to } : value;

/**
 * v1 called the first state `otp_sent`, kept one budget of checks for everybody, counted no retries, had no
 * single-use grant, took KYC verdicts in any order and kept their reasons, which are free text.
 */
export const signupV1toV2: Upgrade = ({ value, context, status }) => {
  const { otp, kyc, ...rest } = context;
  const code = record(otp);
  const { reason: _reason, ...kept } = record(kyc);
  return {
    status,
    value: renameLeaf(value, 'UNVERIFIED', 'otp_sent', 'code_sent'),
    context: {
      ...rest,
      code: {
        counter: code.counter,
        attemptsLeft: code.attemptsLeft,
        // v1 budgets were shared: callers without a token get none of what is left.
        openAttemptsLeft: 0,
        expiresAt: code.expiresAt,
        lockedUntil: null,
      },
      codeRetries: 0,
      grant: false,
      kyc: kyc === null ? null : { ...kept, sequence: 0 },
    },
  };
};

/** v1 did not remember under which password a login began: one that waits for its step-up has to begin anew. */
export const loginV1toV2: Upgrade = ({ value, context, status }) => ({
  status,
  value,
  context: {
    ...context,
    passwordVersion: null,
    subject: context.subject === null ? null : { ...record(context.subject), passwordVersion: 0 },
  },
});

/** v1 remembered the one contact to tell of another; now the account's addresses are told, as they are by then. */
export const challengeV1toV2: Upgrade = ({ value, context: { notify: _notify, ...context }, status }) => ({
  status,
  value,
  context,
});

/** What the names v2 listed were worth. */
const V2_FACTORS: Record<string, object> = {
  pin: { id: 'pin', kind: 'pin', level: 'presence', amr: ['pin'] },
  totp: { id: 'totp', kind: 'totp', level: 'second', amr: ['otp'] },
};
const lifted = (names: unknown): object[] => (names as string[]).flatMap((name) => V2_FACTORS[name] ?? []);

/** v2 named factors and asked for each by name; now each tells what it is worth, and L4 waits for a level. */
export const loginV2toV3: Upgrade = ({ value, context, status }) => {
  const { factors, mandatory, ...subject } = record(context.subject);
  const required = context.required as string[];
  return {
    status,
    value,
    context: {
      ...context,
      subject:
        context.subject === null
          ? null
          : { ...subject, factors: lifted(factors), mfa: (mandatory as string[]).length > 0 },
      firstProof: context.method === 'passkey' ? 'aal2' : 'aal1',
      required: required.includes('totp') ? 'second' : required.length > 0 ? 'presence' : null,
      satisfied: lifted(context.satisfied),
    },
  };
};
