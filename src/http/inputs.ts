/** Request fields that several contracts share. */
import { z } from 'zod';

export const otpInput = z.string().regex(/^[0-9]{6}$/, 'must be six digits');
export const flowTokenInput = z
  .string()
  .max(100)
  .describe('The flow’s token; may be sent as Bearer token instead');
export const deviceInput = z
  .string()
  .min(8)
  .max(128)
  .regex(/^[\x21-\x7e]+$/)
  .describe('Stable identifier of the device; a known one is not asked to step up');

/** Where the refresh token travels. */
export type TokenTransport = 'body' | 'cookie';
export const transportInput = z
  .enum(['body', 'cookie'])
  .describe(
    'Where the refresh token goes: into the answer, or into an HttpOnly cookie and not into the answer',
  );
