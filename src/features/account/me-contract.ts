/** The account behind a token, as its owner sees it. */
import { z } from 'zod';
import type { LiveSession } from '../../../db/sessions.ts';
import type { ShownTradingAccount } from '../../../db/trading-accounts.ts';
import { scopeOf } from '../../../machines/login.ts';
import { summaryOf, tradingSummary } from '../../http/trading-summary.ts';

export const meAnswer = z
  .object({
    user_id: z.string(),
    name: z.string().nullable(),
    phone: z.string().nullable(),
    email: z.string().nullable(),
    email_verified: z.boolean(),
    status: z.string(),
    account_tier: z.string(),
    roles: z.array(z.string()),
    scope: z.string(),
    mfa_enabled: z.boolean(),
    pin_set: z.boolean(),
    timezone: z.string().nullable(),
    locale: z.string().nullable(),
    avatar_url: z.string().nullable(),
    created_at: z.string(),
    last_login_at: z.string().nullable(),
    trading_accounts: z.array(tradingSummary).describe('Linked by this account, masked'),
    session_id: z.string(),
  })
  .meta({ id: 'Me' });

export function meContract(
  { session, account, profile, pinSet, mfa, phone, email }: LiveSession,
  tradingAccounts: readonly ShownTradingAccount[],
  now: number,
) {
  const name = profile?.displayName ?? [profile?.firstName, profile?.lastName].filter(Boolean).join(' ');
  return {
    user_id: account.id,
    name: name || null,
    phone: phone?.value ?? null,
    email: email?.value ?? null,
    email_verified: email?.verified ?? false,
    status: account.status,
    account_tier: account.tier,
    roles: account.roles,
    scope: scopeOf(account.tier).join(' '),
    mfa_enabled: mfa,
    pin_set: pinSet,
    timezone: profile?.timezone ?? null,
    locale: profile?.locale ?? null,
    avatar_url: profile?.avatarUrl ?? null,
    created_at: account.createdAt.toISOString(),
    last_login_at: account.lastLoginAt?.toISOString() ?? null,
    trading_accounts: tradingAccounts
      .filter(({ access }) => access === 'owner')
      .map((row) => summaryOf(row, now)),
    session_id: session.id,
  };
}
