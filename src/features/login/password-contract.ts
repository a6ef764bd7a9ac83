/** Login by password over HTTP: the documented answer, merged with the L6 result every login has. */
import { z } from 'zod';
import type { PasswordLogin } from '../../../db/password-logins.ts';
import type { LoginContext } from '../../../machines/login.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import type { Offer } from '../../http/actions.ts';
import { deviceInput, passwordInput, transportInput } from '../../http/inputs.ts';
import { emailInput, phoneInput } from '../../kernel/identifiers/index.ts';
import type { Revealed } from '../sessions/issue-tokens.ts';
import { loginAnswer, loginContract } from './contract.ts';

export const passwordLoginBody = z
  .strictObject({
    email: emailInput.optional(),
    phone: phoneInput.optional(),
    password: passwordInput,
    persist_session: z.boolean().default(false),
    device_fingerprint: deviceInput.optional(),
    token_transport: transportInput.default('cookie'),
  })
  .refine((body) => (body.email === undefined) !== (body.phone === undefined), {
    message: 'needs either email or phone',
  })
  .meta({ id: 'PasswordLogin', examples: [{ email: 'ada@example.com', password: 'StrongPassword@123' }] });

export const passwordLoginAnswer = loginAnswer
  .extend({
    status: z.literal('mfa_required').optional().describe('A second factor is due'),
    session_token: z.string().optional().describe('Goes to `POST /v1/auth/mfa/verify` with the code'),
    methods: z.array(z.string()).optional().describe('What answers it'),
    message: z.string().optional(),
    user: z
      .object({
        user_id: z.string(),
        email: z.string().nullable(),
        name: z.string().nullable(),
        roles: z.array(z.string()),
        mfa_enabled: z.boolean(),
      })
      .optional(),
  })
  .meta({ id: 'PasswordLoginResult' });

/** Who it is appears only once the login is granted. */
export function passwordLoginContract(
  view: FlowView,
  offer: Offer,
  { revealed, token, login }: { revealed: Revealed; token: string | null; login: PasswordLogin },
) {
  const result = loginContract(view, offer, revealed, token);
  const { required, subject } = view.context as unknown as LoginContext;
  if (view.tags.has('step-up') && required === 'second') {
    return {
      ...result,
      status: 'mfa_required' as const,
      ...(token === null ? {} : { session_token: token }),
      methods: 'factors' in result ? result.factors : [],
      message: 'Enter the code of the second factor.',
    };
  }
  if (!view.tags.has('granted') || !login.account) return result;
  return { ...result, user: userFields({ ...login, ...login.account, mfa: subject?.mfa ?? false }) };
}

type Person = { id: string; email: string | null; name: string | null; roles: string[]; mfa: boolean };

/** The person as the documented answer of a login shows it. */
export const userFields = ({ id, email, name, roles, mfa }: Person) => ({
  user_id: id,
  email,
  name,
  roles,
  mfa_enabled: mfa,
});
