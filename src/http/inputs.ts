/** Request fields that several contracts share. */
import { z } from 'zod';
import { parseTypedCode, type TypedCode } from '../kernel/crypto/typed-code.ts';
import { asciiDigits } from '../kernel/identifiers/index.ts';

/** A code as people copy it: with blanks, in the digits of their script. */
export const otpInput = z
  .string()
  .max(64)
  .overwrite((code) => asciiDigits(code.slice(0, 64)).replace(/[\s\p{Cf}\p{Pd}]/gu, ''))
  .regex(/^[0-9]{6}$/, 'must be six digits');

/** Signs that print nothing go, but for the joiners between letters that some scripts are spelled with. */
const cleanName = (name: string): string =>
  name
    .replace(/(?![\u200c\u200d])\p{Cf}/gu, '')
    .replace(/(?<![\p{L}\p{M}])[\u200c\u200d]|[\u200c\u200d](?![\p{L}\p{M}])/gu, '')
    .trim();

/** A name or a line of text of a person, of at most `max` characters. */
export const nameInput = (max: number) =>
  z
    .string()
    .overwrite(cleanName)
    .min(1)
    .max(max)
    .regex(/^(?:[^\p{C}<>]|[\u200c\u200d])*$/u, 'must not hold control characters or markup');

/** What an owner calls a factor or a device. */
export const labelInput = z
  .string()
  .trim()
  .min(1)
  .max(64)
  .regex(/^[^\p{C}<>]*$/u, 'must not hold control characters or markup');

/** Any password, present or new; the policy is checked later. The bound limits the work of hashing. */
export const passwordInput = z.string().min(1).max(1024);

export const pinInput = z.string().regex(/^[0-9]{6,12}$/, 'must be 6 to 12 digits');

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
