/** Request fields that several contracts share. */
import { z } from 'zod';
import { parseTypedCode, type TypedCode } from '../kernel/crypto/typed-code.ts';

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

/** Digits of any script, with blanks; what it means is decided by {@link typedCode}. */
export const digitsInput = z
  .string()
  .max(64)
  .refine((text) => parseTypedCode(text)?.form === 'digits', 'must be six digits')
  .meta({ description: 'Six digits', examples: ['123456'] });
export const codeInput = z
  .string()
  .max(64)
  .refine((text) => parseTypedCode(text) !== null, 'must be six digits or a backup code')
  .meta({ description: 'Six digits, or a backup code (XXXX-XXXX)', examples: ['123456', 'ABCD-2345'] });

/** The code of an input that its schema has let pass. */
export function typedCode(text: string): TypedCode {
  const code = parseTypedCode(text);
  if (!code) throw new Error('a code that its schema refuses');
  return code;
}

/** Where the refresh token travels. */
export type TokenTransport = 'body' | 'cookie';
export const transportInput = z
  .enum(['body', 'cookie'])
  .describe(
    'Where the refresh token goes: into the answer, or into an HttpOnly cookie and not into the answer',
  );
