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
