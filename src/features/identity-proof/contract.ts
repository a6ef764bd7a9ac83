/** The documented contract of the e-mail code service. */
import { z } from 'zod';
import { otpInput } from '../../http/inputs.ts';
import { emailInput } from '../../kernel/identifiers/index.ts';

const projectId = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\p{L}\p{N}._-]+$/u, 'may hold letters, digits, dots, dashes and underscores')
  .default('default')
  .describe('Whom the proof is for');

export const sendCodeBody = z
  .strictObject({ email: emailInput, project_id: projectId })
  .meta({ id: 'SendCode', examples: [{ email: 'ada@example.com' }] });
export const sendCodeAnswer = z.object({ message: z.string() }).meta({ id: 'CodeSent' });

export const verifyCodeBody = z
  .strictObject({
    email: emailInput,
    project_id: projectId,
    code: otpInput,
    proof: z.enum(['hmac', 'jws']).default('hmac').describe('`jws` adds a token that verifies by JWKS'),
  })
  .meta({ id: 'VerifyCode', examples: [{ email: 'ada@example.com', code: '000000' }] });

export const verifyCodeAnswer = z
  .object({
    auth_user_id: z.string().describe('Names the address, and stays the same for it'),
    email: z.string(),
    project_id: z.string(),
    verified: z.literal(true),
    issued_at: z.number().describe('Seconds since the epoch; refuse proofs older than five minutes'),
    signature: z.string().describe('Hex HMAC-SHA-256 over the canonical JSON of the five other fields'),
    identity_token: z
      .string()
      .optional()
      .describe('The same statement as a JWS of type identity-proof+jwt; its `aud` is `proof:<project_id>`'),
  })
  .meta({ id: 'IdentityProof' });
