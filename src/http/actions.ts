/** The events a client may cause, and where: what `next` lists and why another one is refused. Pure. */
import type { AnyMachineSnapshot } from 'xstate';
import { z } from 'zod';
import type { Subject } from '../../machines/login.ts';
import type { FlowView } from '../engine/snapshots.ts';

export const actionSchema = z
  .object({
    event: z.string().describe('What the state machine will be sent'),
    method: z.string(),
    href: z.string(),
    schema: z.string().nullable().describe('Name of the JSON Schema of the request body in this document'),
  })
  .meta({ id: 'NextAction' });
export type Action = z.infer<typeof actionSchema>;

/** Fields that every answer about a flow carries. */
export const flowFields = {
  flow_id: z.string().describe('Id of the flow'),
  state: z.string().describe('State the flow rests in now'),
  next: z.array(actionSchema).describe('What may be done next'),
};

type Row = Action & {
  /** Which way into sign-up offers it; null for all. */
  entry: 'phone' | 'email' | null;
  /** Stands in for a request when asking the machine whether the event is possible at all. */
  sample: (now: number) => object;
};

const action = (
  event: string,
  method: string,
  href: string,
  schema: string | null,
  sample: object = {},
  entry: Row['entry'] = null,
): Row => ({
  entry,
  event,
  method,
  href,
  schema,
  sample: (now) => ({ type: event, now, ...sample }),
});

const bare = ({ sample: _sample, entry: _entry, ...shown }: Row): Action => shown;

const TERMS = { terms: { ttlMs: 1, attempts: 1, openAttempts: 1 }, suppressed: false };
const WRONG = { verdict: { counter: -1, matches: false, holder: true, lockMs: 1 }, owner: null, opens: null };

const CATALOGUE: Record<string, Row[]> = {
  challenge: [
    action('CODE_REQUESTED', 'POST', '/v1/auth/send-otp', 'SendOtp', TERMS),
    action('CODE_CHECKED', 'POST', '/v1/auth/verify-otp', 'VerifyOtp', WRONG),
  ],
  login: [
    action('STEP_UP_ANSWERED', 'POST', '/v1/auth/login/step-up', 'StepUp', {
      factorId: '',
      ok: false,
      failures: 0,
      subject: null,
    }),
  ],
  factor: [
    action('CONFIRMED', 'POST', '/v1/mfa/totp/enable', 'EnableTotp', {
      ok: true,
      sessionId: '',
      codesDue: true,
    }),
    action('DISABLED', 'POST', '/v1/mfa/totp/disable', 'DisableTotp', {
      authorized: true,
      othersLeft: false,
      sessionId: null,
    }),
  ],
  signup: [
    action('CODE_REQUESTED', 'POST', '/v1/auth/signup/phone', 'SignupPhone', TERMS, 'phone'),
    action('CODE_REQUESTED', 'POST', '/v1/auth/resend-verification', 'ResendVerification', TERMS, 'email'),
    action('CODE_CHECKED', 'POST', '/v1/auth/signup/verify-otp', 'SignupVerifyOtp', WRONG, 'phone'),
    action('CODE_CHECKED', 'POST', '/v1/auth/verify-email', 'VerifyEmail', WRONG, 'email'),
    action('PASSWORD_SET', 'POST', '/v1/auth/signup/set-password', 'SetPassword', { presented: 'token' }),
    action('PROFILE_SUBMITTED', 'POST', '/v1/auth/signup/profile', 'Profile', {
      risk: { decision: 'BLOCK', reasons: [], at: 0 },
      login: null,
    }),
    action('KYC_SUBMITTED', 'POST', '/v1/kyc', 'SubmitKyc', { kycId: 'sample' }),
    action('ABANDON', 'DELETE', '/v1/auth/signup', null),
  ],
};

const ANEW = [
  action('PHONE_SUBMITTED', 'POST', '/v1/auth/signup/phone', 'SignupPhone', {}, 'phone'),
  action('REGISTERED', 'POST', '/v1/auth/register', 'Register', {}, 'email'),
];

/** What the owner of an address that still waits for its code may do. */
export const unverifiedActions: Action[] = (CATALOGUE.signup ?? [])
  .filter((row) => row.entry === 'email')
  .map((row) => bare(row));

/** Where a finished flow leads. */
const AFTER: Record<string, Row[]> = {
  'signup:registered': [
    action('LOGIN', 'POST', '/v1/auth/send-otp', 'SendOtp', {}, 'phone'),
    action('LOGIN', 'POST', '/v1/auth/login', 'PasswordLogin', {}, 'email'),
  ],
  'signup:abandoned': ANEW,
  'signup:expired': ANEW,
  'signup:FULL': [action('ME', 'GET', '/v1/users/me', null)],
  'challenge:expired': [action('CODE_REQUESTED', 'POST', '/v1/auth/send-otp', 'SendOtp')],
  'login:L6_result.AUTHENTICATED': [action('ME', 'GET', '/v1/users/me', null)],
  'login:L6_result.ONBOARDING_REQUIRED': ANEW,
  'login:L6_result.DENIED': [],
};

/** Facts a guard can judge without a request; a guard that needs one is answered by the route itself. */
const possible = (snapshot: AnyMachineSnapshot, row: Row, now: number): boolean =>
  // A locked flow takes a code only to count it.
  !(row.event === 'CODE_CHECKED' && snapshot.hasTag('locked')) && snapshot.can(row.sample(now) as never);

/** Which way in the flow came, or the sign-up it leads to; by phone unless it says otherwise. */
const offered = ({ context }: FlowView, rows: Row[] = []): Row[] => {
  const subject = context.subject as Subject | null | undefined;
  const came = context.entry ?? subject?.signupEntry ?? 'phone';
  const entry = came === 'phone' ? 'phone' : 'email';
  return rows.filter((row) => row.entry === null || row.entry === entry);
};

/** Client actions the flow accepts now. `now` only matters for locks that end. */
export function nextActions(view: FlowView, now: number): Action[] {
  const open = view.done ? [] : offered(view, CATALOGUE[view.machine]);
  const rows = open.filter((row) => possible(view.snapshot, row, now));
  return [...rows, ...offered(view, AFTER[`${view.machine}:${view.state}`])].map(bare);
}

/** Client actions the flow refuses now, each with the reason. */
export function refusedActions(view: FlowView, now: number): { event: string; reason: string }[] {
  return offered(view, CATALOGUE[view.machine])
    .filter((row) => !possible(view.snapshot, row, now))
    .map((row) => ({
      event: row.event,
      reason: view.done ? `the flow has ended in ${view.state}` : `not possible while in ${view.state}`,
    }));
}
