/** A linked broker account as answers show it: masked, whoever asks. Pure. */
import { z } from 'zod';
import type { ShownTradingAccount } from '../../db/trading-accounts.ts';
import { type TradingLinkContext, tradingLinkContextSchema } from '../../machines/trading-link.ts';

const STATUSES = ['pending_verification', 'active', 'credentials_expired', 'error', 'deactivated'] as const;
const status = z.enum(STATUSES);

/** What is known of the credentials. */
export const credentialFields = {
  status,
  reason: z.string().nullable().describe('Why it is not active'),
  credentials_valid: z
    .boolean()
    .nullable()
    .describe(
      'Null: not known, because there is no access token or its time has come and the broker was not asked yet',
    ),
  last_verified_at: z.string().nullable(),
  last_check: z
    .object({ outcome: z.enum(['valid', 'refused', 'unreachable']), at: z.string() })
    .nullable()
    .describe('The last time the broker was asked, also when it did not answer'),
  token_expires_at: z.string().nullable().describe('When the access token ends at the latest'),
};

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

/** `now`: milliseconds. */
export function credentialState(state: string, given: unknown, now: number) {
  const c: TradingLinkContext = tradingLinkContextSchema.parse(given);
  const works = state === 'active' && (c.tokenEndsAt ?? 0) > now ? true : null;
  return {
    status: status.parse(state),
    reason: c.reason,
    credentials_valid: state === 'credentials_expired' || state === 'error' ? false : works,
    last_verified_at: iso(c.verifiedAt),
    last_check: c.lastCheck && { outcome: c.lastCheck.outcome, at: new Date(c.lastCheck.at).toISOString() },
    token_expires_at: iso(c.tokenEndsAt),
  };
}

export const tradingSummary = z
  .object({
    trading_account_id: z.string(),
    owner_id: z.string(),
    broker: z.string(),
    broker_user_id: z.string().describe('Only its last two characters are shown'),
    account_name: z.string().nullable(),
    api_key: z.string().nullable().describe('Only its last four characters are shown'),
    ...credentialFields,
    access: z.enum(['owner', 'view', 'trade', 'manage']).describe('What the caller may do with it'),
    preferences: z.record(z.string(), z.unknown()),
    created_at: z.string(),
  })
  .meta({ id: 'TradingAccount' });

const MASK = '••••';
export const masked = (text: string | null, shown: number): string | null =>
  text === null ? null : MASK + text.slice(-shown);

export const summaryOf = (row: ShownTradingAccount, now: number): z.infer<typeof tradingSummary> => ({
  trading_account_id: row.id,
  owner_id: row.ownerId,
  broker: row.broker,
  broker_user_id: masked(row.brokerUserId, 2) ?? MASK,
  account_name: row.accountName,
  api_key: masked(row.apiKeyLast4, 4),
  ...credentialState(row.state, row.context, now),
  access: row.access,
  preferences: row.preferences,
  created_at: row.createdAt.toISOString(),
});
