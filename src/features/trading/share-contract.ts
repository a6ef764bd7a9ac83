/** Shares of a trading account over HTTP. `read` is another word for `view`. */
import { z } from 'zod';

export const inviteBody = z
  .strictObject({
    user_id: z.uuid().describe('Who is invited'),
    access: z
      .enum(['view', 'read', 'trade', 'manage'])
      .transform((word) => (word === 'read' ? 'view' : word)),
    expires_in_hours: z.int().min(1).max(720).default(168).describe('Life of the invitation'),
    access_until: z.iso
      .datetime({ offset: true })
      .transform((text) => new Date(text))
      .optional()
      .describe('When the access ends; without it, when the owner or the member ends it'),
  })
  .meta({ id: 'ShareTradingAccount' });

export const shareParams = z.strictObject({ account_id: z.uuid(), share_id: z.uuid() });
export const invitationParams = z.strictObject({ share_id: z.uuid() });

const share = z.object({
  share_id: z.string(),
  trading_account_id: z.string(),
  broker: z.string(),
  owner_id: z.string(),
  user_id: z.string(),
  access: z.enum(['view', 'trade', 'manage']),
  status: z.enum(['invited', 'active']),
  invited_at: z.string(),
  accepted_at: z.string().nullable(),
  expires_at: z.string().nullable().describe('Of the invitation, then of the access'),
});
export const sharesAnswer = z.object({ shares: z.array(share) }).meta({ id: 'TradingShares' });
export const invitationsAnswer = z.object({ invitations: z.array(share) }).meta({ id: 'TradingInvitations' });

export const shareAnswer = z
  .object({ share_id: z.string(), status: z.enum(['invited', 'active', 'ended']), message: z.string() })
  .meta({ id: 'TradingShare' });

type Row = {
  id: string;
  tradingAccountId: string;
  broker: string;
  ownerId: string;
  memberId: string;
  access: 'view' | 'trade' | 'manage';
  status: 'invited' | 'active' | 'ended';
  invitedAt: Date;
  acceptedAt: Date | null;
  expiresAt: Date | null;
};

export const shareOf = (row: Row): z.infer<typeof share> => ({
  share_id: row.id,
  trading_account_id: row.tradingAccountId,
  broker: row.broker,
  owner_id: row.ownerId,
  user_id: row.memberId,
  access: row.access,
  status: row.status === 'active' ? 'active' : 'invited',
  invited_at: row.invitedAt.toISOString(),
  accepted_at: row.acceptedAt?.toISOString() ?? null,
  expires_at: row.expiresAt?.toISOString() ?? null,
});
