/** Trading accounts over HTTP: strict requests, masked answers. Credentials leave by the reveal route alone. */
import { z } from 'zod';
import type { ShownTradingAccount } from '../../../db/trading-accounts.ts';
import { BROKERS } from '../../adapters/ports.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { flowFields, nextOf, type Offer } from '../../http/actions.ts';
import { credentialFields, credentialState, masked, tradingSummary } from '../../http/trading-summary.ts';

export const BASE = '/v1/trading-accounts';
/** How every route of trading accounts is documented. */
export const secured = { tags: ['Trading accounts'], security: [{ bearerAuth: [] }] };

/** As brokers hand them out: printable, without spaces. */
const secret = z
  .string()
  .min(4)
  .max(256)
  .regex(/^[\x21-\x7e]+$/, 'must be printable characters without spaces');
const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^[^\p{C}<>]*$/u, 'must not hold control characters or markup');
const tokens = {
  access_token: secret.optional().describe('In force now'),
  request_token: secret
    .optional()
    .describe('From the broker’s login page; exchanged for an access token, works once'),
};
const oneToken = (body: { access_token?: string | undefined; request_token?: string | undefined }): boolean =>
  body.access_token === undefined || body.request_token === undefined;
const ONE_TOKEN = { path: ['request_token'], message: 'excludes access_token: send one of them' };

export const linkBody = z
  .strictObject({
    broker: z.enum(BROKERS),
    broker_user_id: z
      .string()
      .trim()
      .regex(/^[A-Za-z0-9]{2,32}$/, 'must be 2 to 32 letters and digits')
      .transform((id) => id.toUpperCase()),
    api_key: secret,
    api_secret: secret,
    ...tokens,
    account_name: name.optional(),
  })
  .refine(oneToken, ONE_TOKEN)
  .meta({ id: 'LinkTradingAccount' });

export const rotateBody = z
  .strictObject({ api_key: secret.optional(), api_secret: secret.optional(), ...tokens })
  .refine((body) => Object.keys(body).length > 0, { message: 'must name a credential to replace' })
  .refine(oneToken, ONE_TOKEN)
  .meta({ id: 'RotateCredentials', examples: [{ request_token: 'AbCdEf0123456789' }] });

const preference = z.union([z.string().max(500), z.number(), z.boolean(), z.null()]);
export const patchBody = z
  .strictObject({
    account_name: name.nullable().optional(),
    nickname: name.nullable().optional().describe('Another word for account_name'),
    preferences: z
      .record(z.string().regex(/^[a-z][a-z0-9_.]{0,63}$/), preference)
      .refine((p) => Object.keys(p).length <= 50, { message: 'holds at most 50 entries' })
      .optional(),
  })
  .refine((body) => Object.keys(body).length > 0, { message: 'must name a field to change' })
  .refine((body) => body.account_name === undefined || body.nickname === undefined, {
    path: ['nickname'],
    message: 'excludes account_name: send one of them',
  })
  .meta({ id: 'ChangeTradingAccount' });

export const accountParams = z.strictObject({ account_id: z.uuid() });

export const listAnswer = z
  .object({
    user_id: z.string(),
    owned_accounts: z.array(tradingSummary),
    shared_accounts: z.array(tradingSummary),
    total_accounts: z.int(),
  })
  .meta({ id: 'TradingAccounts' });

/** What an act on the credentials has led to. */
const ledTo = { ...credentialFields, message: z.string(), ...flowFields };

export const linkAnswer = z
  .object({
    trading_account_id: z.string(),
    user_id: z.string(),
    broker: z.string(),
    broker_user_id: z.string(),
    account_name: z.string().nullable(),
    ...ledTo,
  })
  .meta({ id: 'TradingAccountLinked' });

export const credentialsAnswer = z
  .object({
    trading_account_id: z.string(),
    valid: z.boolean().nullable(),
    ...ledTo,
  })
  .meta({ id: 'TradingCredentials' });

export const statusAnswer = z
  .object({ trading_account_id: z.string(), ...credentialFields })
  .meta({ id: 'TradingAccountStatus' });

export const unlinkAnswer = z
  .object({ trading_account_id: z.string(), message: z.string(), memberships_revoked: z.int() })
  .meta({ id: 'TradingAccountUnlinked' });

export const revealAnswer = z
  .object({
    trading_account_id: z.string(),
    api_key: z.string(),
    api_secret: z.string(),
    access_token: z.string().nullable(),
  })
  .meta({ id: 'RevealedCredentials' });

const MESSAGES: Record<string, string> = {
  pending_verification: 'The credentials are stored. Send an access token or a request token to verify them.',
  active: 'The broker has accepted the credentials.',
  credentials_expired: 'The access token has ended. Send a new one.',
  error: 'The broker refuses the credentials. Send the right ones.',
};

/** What an act on the credentials is answered with. */
export function credentialsContract(flow: FlowView, offer: Offer) {
  const state = credentialState(flow.state, flow.context, offer.now);
  return {
    trading_account_id: String(flow.context.linkId),
    valid: state.credentials_valid,
    ...state,
    message: MESSAGES[flow.state] ?? '',
    flow_id: flow.id,
    state: flow.state,
    next: nextOf(flow, offer),
  };
}

export function linkContract(
  flow: FlowView,
  offer: Offer,
  { brokerUserId, accountName }: { brokerUserId: string; accountName: string | null },
) {
  const { valid: _valid, ...answer } = credentialsContract(flow, offer);
  return {
    ...answer,
    user_id: String(flow.context.accountId),
    broker: String(flow.context.broker),
    broker_user_id: masked(brokerUserId, 2) ?? '',
    account_name: accountName,
  };
}

export const statusContract = (row: ShownTradingAccount, now: number) => ({
  trading_account_id: row.id,
  ...credentialState(row.state, row.context, now),
});
