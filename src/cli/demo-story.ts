/** What the tour tells: each request, and what its answer must say. Data only; nothing here runs. */
import { RESERVED_TOTP_SECRET } from '../adapters/reserved.ts';

export type Call = {
  method: 'GET' | 'POST';
  path: string;
  body?: Record<string, unknown>;
  /** Name of a kept value that is sent as Bearer token. */
  token?: string;
  accept?: string;
};

export type Scene = {
  /** Begins a new part of the tour. */
  title?: string;
  say: string;
  call: Call;
  status: number;
  /** Fields the answer must have, as text. */
  told: Record<string, string>;
  /** Fields worth keeping: name to keep under → field. */
  keep?: Record<string, string>;
  /** Ask again for up to five seconds, until the answer is as told. */
  eventually?: boolean;
  /** Least time since the scene before, in milliseconds. */
  afterMs?: number;
};

const PHONE = '+15555550142';
const PASSWORD = 'StrongPassword@123';
const PIN = '482915';

const post = (path: string, body: Call['body'], token?: string): Call => ({
  method: 'POST',
  path,
  ...(body ? { body } : {}),
  ...(token ? { token } : {}),
});
const get = (path: string, token?: string): Call => ({ method: 'GET', path, ...(token ? { token } : {}) });

export const STORY: Scene[] = [
  {
    title: 'A login without an account',
    say: 'A login code is sent to a phone that has no account. With or without one, the answer is the same.',
    call: post('/v1/auth/send-otp', { phone: PHONE }),
    status: 200,
    told: { status: 'otp_sent', state: 'code_sent' },
  },
  {
    say: 'In the demo nothing leaves the machine: what would have been sent is in the inbox.',
    call: { ...get(`/dev/inbox/latest?to=${encodeURIComponent(PHONE)}`), accept: 'text/plain' },
    status: 200,
    told: { text: '000000' },
    eventually: true,
  },
  {
    say: 'The code is right. The login machine finds no account and says where to go on.',
    call: post('/v1/auth/verify-otp', { phone: PHONE, otp: '000000' }),
    status: 200,
    told: { auth_status: 'ONBOARDING_REQUIRED' },
  },
  {
    title: 'Sign-up: UNVERIFIED',
    say: 'The person signs up. The answer carries a token for this flow.',
    call: post('/v1/auth/signup/phone', { phone: PHONE }),
    status: 200,
    told: { state: 'UNVERIFIED.code_sent' },
    keep: { SIGNUP: 'flow_token' },
  },
  {
    say: 'A wrong code: refused and counted. Wrong, expired and used codes get the same answer.',
    call: post('/v1/auth/signup/verify-otp', { phone: PHONE, otp: '111111' }, 'SIGNUP'),
    status: 400,
    told: { code: 'invalid_code' },
  },
  {
    say: 'The right one creates the PreUser (S1).',
    call: post('/v1/auth/signup/verify-otp', { phone: PHONE, otp: '000000' }, 'SIGNUP'),
    status: 200,
    told: { state: 'UNVERIFIED.preuser_created' },
    keep: { SIGNUP: 'flow_token', FLOW: 'flow_id' },
  },
  {
    say: 'KYC now? Refused: it needs an access token, and there is no account yet.',
    call: post('/v1/kyc', { document_type: 'PAN', document_number: 'ABCDE1234F' }),
    status: 401,
    told: { code: 'unauthenticated' },
  },
  {
    say: 'Password and PIN (S2).',
    call: post('/v1/auth/signup/set-password', { password: PASSWORD, pin: PIN }, 'SIGNUP'),
    status: 200,
    told: { state: 'UNVERIFIED.credentials_set' },
  },
  {
    say: 'Setting it twice is not a step of this state: 409, nothing changes, and the answer lists what is possible.',
    call: post('/v1/auth/signup/set-password', { password: 'AnotherPassword@456' }, 'SIGNUP'),
    status: 409,
    told: { code: 'event_refused', state: 'UNVERIFIED.credentials_set' },
  },
  {
    say: 'Where am I, and why is everything else refused?',
    call: get('/v1/flows/$FLOW', 'SIGNUP'),
    status: 200,
    told: { state: 'UNVERIFIED.credentials_set', machine: 'signup' },
  },
  {
    title: 'LIMITED',
    say: 'The profile (S3) passes the risk gate (S4) into an account (S5), with tokens from a login of its own.',
    call: post(
      '/v1/auth/signup/profile',
      { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10', device_id: 'laptop-0001' },
      'SIGNUP',
    ),
    status: 200,
    told: { state: 'LIMITED.kyc_none', auth_status: 'AUTHENTICATED', account_tier: 'LIMITED' },
    keep: { ACCESS: 'access_token' },
  },
  {
    title: 'KYC',
    say: 'A document that the provider rejects (a reserved number). The service asks the provider later, outside this request.',
    call: post('/v1/kyc', { document_type: 'PAN', document_number: 'ZZZPZ0001Z' }, 'ACCESS'),
    status: 202,
    told: { status: 'PENDING' },
  },
  {
    say: 'Rejected, with the reason, and another try is possible.',
    call: get('/v1/kyc', 'ACCESS'),
    status: 200,
    told: { status: 'REJECTED', state: 'LIMITED.kyc_rejected', can_retry: 'true' },
    eventually: true,
  },
  {
    say: 'Another document.',
    call: post('/v1/kyc', { document_type: 'PAN', document_number: 'ABCDE1234F' }, 'ACCESS'),
    status: 202,
    told: { status: 'PENDING' },
  },
  {
    say: 'Verified (S7): the account is FULL (S8).',
    call: get('/v1/kyc', 'ACCESS'),
    status: 200,
    told: { status: 'VERIFIED', state: 'FULL', account_tier: 'FULL' },
    eventually: true,
  },
  {
    title: 'Login with step-up',
    say: 'Later, on another device.',
    call: post('/v1/auth/send-otp', { phone: PHONE }),
    status: 200,
    told: { status: 'otp_sent' },
    afterMs: 1100,
  },
  {
    say: 'Asking again at once meets a limit. Such answers carry Retry-After.',
    call: post('/v1/auth/send-otp', { phone: PHONE }),
    status: 429,
    told: { code: 'rate_limited' },
  },
  {
    say: 'The right code, but a new device and a PIN: the login waits at L4. There is no token yet.',
    call: post('/v1/auth/verify-otp', { phone: PHONE, otp: '000000', device_id: 'phone-0002' }),
    status: 200,
    told: { auth_status: 'STEP_UP_REQUIRED', state: 'L4_step_up', access_token: '' },
    keep: { LOGIN: 'flow_token' },
  },
  {
    say: 'The PIN grants it (L5): a session and a FULL token (L6).',
    call: post('/v1/auth/login/step-up', { pin: PIN }, 'LOGIN'),
    status: 200,
    told: { auth_status: 'AUTHENTICATED', state: 'L6_result.AUTHENTICATED', account_tier: 'FULL' },
    keep: { ACCESS: 'access_token' },
  },
  {
    say: 'Who is behind that token.',
    call: get('/v1/users/me', 'ACCESS'),
    status: 200,
    told: { name: 'Ada Byron', account_tier: 'FULL', pin_set: 'true' },
  },
  {
    title: 'A second factor',
    say: 'An authenticator app: its secret, and a picture of it to read. Reserved numbers all get this one.',
    call: post('/v1/mfa/totp/setup', {}, 'ACCESS'),
    status: 200,
    told: { state: 'setup', secret: RESERVED_TOTP_SECRET },
  },
  {
    say: 'Its first code turns it on. Eight backup codes are shown, this once.',
    call: post('/v1/mfa/totp/enable', { code: '$BEFORE' }, 'ACCESS'),
    status: 200,
    told: { mfa_enabled: 'true', state: 'confirmed' },
  },
  {
    title: 'Login with two factors',
    say: 'The password alone no longer logs in, and a PIN beside it is still one factor.',
    call: post('/v1/auth/login', { phone: PHONE, password: PASSWORD, device_fingerprint: 'phone-0002' }),
    status: 200,
    told: { status: 'mfa_required', methods: '["totp","backup_codes"]', access_token: '' },
    keep: { SECOND: 'session_token' },
  },
  {
    say: 'With the code of the app it does: a session at aal2.',
    call: post('/v1/auth/mfa/verify', { session_token: '$SECOND', code: '$CODE' }),
    status: 200,
    told: { auth_status: 'AUTHENTICATED', state: 'L6_result.AUTHENTICATED' },
    keep: { ACCESS: 'access_token' },
  },
  {
    say: 'The same code again, for a sensitive call: a code works once.',
    call: post('/v1/auth/step-up', { code: '$CODE' }, 'ACCESS'),
    status: 400,
    told: { code: 'invalid_code' },
  },
];
