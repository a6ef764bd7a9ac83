/** Exports of other systems, one JSON object a line, as the little we take from them. Nothing else of a row is kept. */
import { z } from 'zod';
import { foreignHash } from '../../kernel/hashing/index.ts';
import { proofSchema } from './proof.ts';

export type ImportedUser = {
  email: string | null;
  phone: string | null;
  /** Whether the other system had proven the contact. */
  emailVerified: boolean;
  phoneVerified: boolean;
  name: string | null;
  /** bcrypt or argon2id, as it is stored here; null for anything else: such people set a new password by recovery. */
  passwordHash: string | null;
};

const usable = (hash: string | null | undefined): string | null => (hash ? foreignHash(hash) : null);
const text = z.string().nullish();

const betterAuth = z
  .looseObject({
    email: text,
    emailVerified: proofSchema,
    name: text,
    phoneNumber: text,
    phoneNumberVerified: proofSchema,
    accounts: z.array(z.looseObject({ providerId: z.string(), password: text })).default([]),
  })
  .transform(
    (u): ImportedUser => ({
      email: u.email ?? null,
      emailVerified: u.emailVerified,
      phone: u.phoneNumber ?? null,
      phoneVerified: u.phoneNumberVerified,
      name: u.name ?? null,
      passwordHash: usable(u.accounts.find((a) => a.providerId === 'credential')?.password),
    }),
  );

const supabase = z
  .looseObject({
    email: text,
    email_confirmed_at: proofSchema,
    phone: text,
    phone_confirmed_at: proofSchema,
    encrypted_password: text,
    raw_user_meta_data: z.looseObject({ name: text, full_name: text }).nullish(),
  })
  .transform(
    (u): ImportedUser => ({
      email: u.email || null,
      emailVerified: u.email_confirmed_at,
      // Supabase stores numbers without the plus.
      phone: u.phone ? `+${u.phone.replace(/^\+/, '')}` : null,
      phoneVerified: u.phone_confirmed_at,
      name: u.raw_user_meta_data?.full_name ?? u.raw_user_meta_data?.name ?? null,
      passwordHash: usable(u.encrypted_password),
    }),
  );

const clerk = z
  .looseObject({
    first_name: text,
    last_name: text,
    primary_email_address: text,
    verified_email_addresses: z.union([z.string(), z.array(z.string())]).nullish(),
    primary_phone_number: text,
    verified_phone_numbers: z.union([z.string(), z.array(z.string())]).nullish(),
    password_digest: text,
  })
  .transform((u): ImportedUser => {
    const listed = (all: string | string[] | null | undefined, one: string | null | undefined): boolean =>
      Boolean(one) &&
      (typeof all === 'string' ? all.split(/[|,]/) : (all ?? [])).some((item) => item.trim() === one?.trim());
    return {
      email: u.primary_email_address || null,
      emailVerified: listed(u.verified_email_addresses, u.primary_email_address),
      phone: u.primary_phone_number || null,
      phoneVerified: listed(u.verified_phone_numbers, u.primary_phone_number),
      name: [u.first_name, u.last_name].filter(Boolean).join(' ') || null,
      passwordHash: usable(u.password_digest),
    };
  });

const authJs = z.looseObject({ email: text, emailVerified: proofSchema, name: text }).transform(
  (u): ImportedUser => ({
    email: u.email ?? null,
    emailVerified: u.emailVerified,
    phone: null,
    phoneVerified: false,
    name: u.name ?? null,
    passwordHash: null,
  }),
);

export const FORMATS = { 'better-auth': betterAuth, supabase, clerk, authjs: authJs } as const;
export type ImportFormat = keyof typeof FORMATS;
export const isImportFormat = (name: string): name is ImportFormat => Object.hasOwn(FORMATS, name);
