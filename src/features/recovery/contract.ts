/** Password recovery over HTTP. Every request gets the same answer, whoever owns the address. */
import { z } from 'zod';
import { passwordInput } from '../../http/inputs.ts';
import { emailInput } from '../../kernel/identifiers/index.ts';

export const resetRequestBody = z.strictObject({ email: emailInput }).meta({ id: 'ResetRequest' });

export const resetRequestAnswer = z
  .object({ email: z.string(), message: z.string(), expires_in_minutes: z.number() })
  .meta({ id: 'ResetRequested' });

export const resetBody = z
  .strictObject({ token: z.string().min(32).max(255), new_password: passwordInput })
  .meta({
    id: 'PasswordReset',
    examples: [{ token: 'the token in the link of the message', new_password: 'StrongPassword@124' }],
  });

export const resetAnswer = z
  .object({ user_id: z.string(), message: z.string(), state: z.string(), sessions_revoked: z.int() })
  .meta({ id: 'PasswordResetDone' });

export const resetRequested = (email: string, ttlS: number) => ({
  email,
  message: 'If the address belongs to an account, a message with a link is on its way.',
  expires_in_minutes: Math.round(ttlS / 60),
});
