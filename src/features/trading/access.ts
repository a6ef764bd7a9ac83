/** Which trading account a request is about, and whether the caller may do this with it. */
import type { FastifyRequest } from 'fastify';
import type { Access, ShownTradingAccount } from '../../../db/trading-accounts.ts';
import { authenticate } from '../../http/authenticate.ts';
import { type Caller, callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

const RANK: Record<Access, number> = { view: 0, trade: 1, manage: 2, owner: 3 };

/** The caller, who must have a FULL account. @throws Problem insufficient_scope, and as `authenticate` */
export async function fullAccount(request: FastifyRequest, s: Services) {
  const live = await authenticate(request, s, 'trading');
  return { live, userId: live.account.id, caller: callerOf(request, s) };
}

/** @throws Problem not_found for what is not theirs, access_denied for what is shared for less */
export async function accessTo(
  s: Pick<Services, 'tradingAccounts' | 'config'>,
  id: string,
  { userId, caller, least }: { userId: string; caller: Caller; least: Access },
): Promise<ShownTradingAccount> {
  const row = await s.tradingAccounts.forAccount(id, userId, new Date(caller.now));
  if (!row || (row.access !== 'owner' && !s.config.features.sharedAccounts)) throw new Problem('not_found');
  if (RANK[row.access] < RANK[least]) throw new Problem('access_denied');
  return row;
}

/** The trading account that the address names. @throws as `fullAccount` and `accessTo` */
export async function namedAccount(
  request: FastifyRequest & { params: { account_id: string } },
  s: Services,
  least: Access,
) {
  const who = await fullAccount(request, s);
  const row = await accessTo(s, request.params.account_id, { ...who, least });
  return { ...who, row, id: row.id };
}
