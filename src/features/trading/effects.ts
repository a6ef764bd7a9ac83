/** Rows of the effects that a linked broker account asks for. Pure: sealed values come enclosed. */
import * as tradingAccounts from '../../../db/trading-accounts.ts';
import { enclosed, type OwnEffects } from '../../engine/effects.ts';
import { endShares, enqueue } from '../../engine/records.ts';

export const effects = {
  storeLink: (p, c) => {
    const account = enclosed(c.enclosures.tradingAccount, 'trading account');
    const ids = { id: p.linkId, ownerId: p.accountId, flowId: c.flow.id };
    c.changes.rows.push(tradingAccounts.store(ids, account, c.changes.now));
  },
  replaceCredentials: (p, c) => {
    const rotated = enclosed(c.enclosures.rotated, 'rotated credentials');
    c.changes.rows.push(tradingAccounts.replaceCredentials(p.linkId, rotated, c.changes.now));
  },
  shredCredentials: (p, c) => {
    c.changes.rows.push(tradingAccounts.shred(p.linkId, p.accountId, c.changes.now));
  },
  endShares: (_p, c) => endShares(c, enclosed(c.enclosures.shares, 'shares'), 'unlinked'),
  requestBrokerCheck: (p, c) => enqueue(c, 'broker.check', p.accountId, { tradingAccountId: p.linkId }),
} satisfies OwnEffects;
