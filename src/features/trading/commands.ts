/** What is done to a linked account: each command proves first, outside any transaction, and then sends one event. */
import { stillHeld } from '../../../db/trading-accounts.ts';
import type { BrokerName } from '../../adapters/ports.ts';
import type { Result } from '../../engine/engine.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  accessTokenOf,
  brokerOf,
  type Credentials,
  check,
  lastFour,
  openCredentials,
  provenToken,
  type StoredCredentials,
  sealCredentials,
} from './credentials.ts';

type NewTokens = { access_token?: string | undefined; request_token?: string | undefined };
type LinkRequest = NewTokens & {
  broker: BrokerName;
  broker_user_id: string;
  api_key: string;
  api_secret: string;
  account_name?: string | undefined;
};
type RotateRequest = NewTokens & { api_key?: string | undefined; api_secret?: string | undefined };

/** The credentials with the token that the broker accepted, if there is one. */
const withToken = (apiKey: string, apiSecret: string, token: string | null): Credentials => ({
  api_key: apiKey,
  api_secret: apiSecret,
  ...(token === null ? {} : { access_token: token }),
});

/** How long a flow's token lives that no route asks for. */
const TOKEN_TTL_MS = 60_000;

export function createTrading(s: Services) {
  const { engine, tradingAccounts, vault } = s;

  /** @throws Problem not_found */
  async function stored(id: string): Promise<StoredCredentials> {
    const found = await tradingAccounts.credentialsOf(id);
    if (!found) throw new Problem('not_found');
    return found;
  }

  return {
    stored,

    /** @throws Problem conflict when it is linked already, broker_rejected */
    async link(ownerId: string, body: LinkRequest, caller: Caller): Promise<Result> {
      const known = await engine.replay('trading_link', caller);
      if (known) return known;
      const broker = brokerOf(s, body.broker);
      const { broker_user_id: brokerUserId, api_key: apiKey, api_secret: apiSecret } = body;
      const linked = () =>
        new Problem('conflict', { detail: 'This account of the broker is linked already.' });
      if (await tradingAccounts.isLinked(ownerId, body.broker, brokerUserId)) throw linked();
      await s.limits.broker({ accountId: ownerId }, caller);
      const id = mint();
      const token = await accessTokenOf(broker, brokerUserId, {
        apiKey,
        apiSecret,
        accessToken: body.access_token,
        requestToken: body.request_token,
      });
      const subject = { owner: ownerId, account: id, keyVersion: 1 };
      const sealed = await sealCredentials(s, subject, withToken(apiKey, apiSecret, token));
      return engine.openOn(
        'trading_link',
        async () => {
          const account = await s.users.activeAccount(ownerId);
          if (!account) throw new Problem('invalid_token');
          if (await tradingAccounts.isLinked(ownerId, body.broker, brokerUserId)) throw linked();
          return {
            flowId: mint(),
            tokenTtlMs: TOKEN_TTL_MS,
            account,
            event: {
              type: 'LINKED',
              now: caller.now,
              accountId: ownerId,
              linkId: id,
              broker: body.broker,
              proof: token === null ? null : provenToken(broker, id, caller.now),
            },
            enclosures: {
              tradingAccount: {
                broker: body.broker,
                brokerUserId,
                accountName: body.account_name ?? null,
                apiKeyLast4: lastFour(apiKey),
                sealed,
              },
            },
          };
        },
        caller,
      );
    },

    /**
     * Replaces credentials; the earlier ones stay when the broker refuses the new ones or does not answer.
     * @throws Problem broker_rejected, event_refused when another rotation came between
     */
    async rotate(id: string, userId: string, body: RotateRequest, caller: Caller): Promise<FlowView> {
      const known = await engine.replay('trading_link', caller);
      if (known) return known.flow;
      const old = await stored(id);
      await s.limits.broker({ accountId: userId }, caller);
      const broker = brokerOf(s, old.broker);
      const opened = await openCredentials(s, old, caller.envelope);
      const apiKey = body.api_key ?? opened.api_key;
      const apiSecret = body.api_secret ?? opened.api_secret;
      // A token belongs to the key it was issued for: without a new one there is none.
      const token = await accessTokenOf(broker, old.brokerUserId, {
        apiKey,
        apiSecret,
        accessToken: body.access_token,
        requestToken: body.request_token,
      });
      const keyVersion = old.keyVersion + 1;
      const subject = { owner: old.ownerId, account: id, keyVersion };
      const sealed = await sealCredentials(s, subject, withToken(apiKey, apiSecret, token));
      const proof = token === null ? null : provenToken(broker, id, caller.now);
      const { flow } = await engine.send(
        'trading_link',
        { id: old.flowId },
        () => ({
          event: { type: 'ROTATED', now: caller.now, generation: keyVersion, proof },
          enclosures: { rotated: { apiKeyLast4: lastFour(apiKey), keyVersion, sealed } },
        }),
        caller,
      );
      vault.forget(id);
      return flow;
    },

    /**
     * Asks the broker. A broker that does not answer changes nothing but `last_check`, and is then thrown.
     * @throws Problem event_refused without an access token, BrokerUnavailable
     */
    async verify(id: string, userId: string, caller: Caller): Promise<FlowView> {
      const known = await engine.replay('trading_link', caller);
      if (known) return known.flow;
      const now = await stored(id);
      const generation = now.keyVersion;
      const event = (
        outcome: 'valid' | 'refused' | 'unreachable',
        proof: ReturnType<typeof provenToken> | null,
      ) => ({ type: 'CHECKED' as const, now: caller.now, generation, outcome, proof });
      await engine.ready('trading_link', { id: now.flowId }, () => event('refused', null), caller);
      await s.limits.broker({ accountId: userId }, caller);
      const broker = brokerOf(s, now.broker);
      const { outcome, cause } = await check(
        broker,
        now.brokerUserId,
        await openCredentials(s, now, caller.envelope),
      );
      const proof = outcome === 'valid' ? provenToken(broker, id, caller.now) : null;
      const { flow } = await engine.send(
        'trading_link',
        { id: now.flowId },
        () => ({ event: event(outcome, proof) }),
        caller,
      );
      if (cause) throw cause;
      return flow;
    },

    /** Destroys the credentials and ends every share, then ends the token at the broker if it can be reached. */
    async unlink(id: string, caller: Caller): Promise<{ ended: number }> {
      const old = await stored(id);
      const opened = await openCredentials(s, old, caller.envelope).catch(() => null);
      let ended = 0;
      await engine.send(
        'trading_link',
        { id: old.flowId },
        async () => {
          const shares = await s.tradingShares.liveOf([id]);
          ended = shares.length;
          return { event: { type: 'UNLINKED', now: caller.now }, enclosures: { shares } };
        },
        caller,
      );
      vault.forget(id);
      const token = opened?.access_token;
      if (token !== undefined)
        await endToken(old.broker, { apiKey: opened?.api_key ?? '', accessToken: token });
      return { ended };
    },

    /** The credentials in clear, once the commit that records it has found them unchanged. */
    async reveal(id: string, caller: Caller): Promise<Credentials> {
      const held = await stored(id);
      const opened = await openCredentials(s, held, caller.envelope);
      await s.commitAccount(
        {
          account: { id: held.ownerId, eventSeq: held.ownerSeq },
          parts: [stillHeld(id, held.keyVersion)],
          event: { type: 'trading_account.credentials_revealed', tradingAccountId: id },
        },
        { ...caller, idempotency: null },
      );
      return opened;
    },
  };

  /** What cannot be reached ends by itself at 06:00. */
  async function endToken(name: BrokerName, token: { apiKey: string; accessToken: string }): Promise<void> {
    try {
      await s.adapters.brokers[name]?.invalidate(token);
    } catch (error) {
      s.log.warn({ reason: (error as Error).message }, 'an access token was not ended at its broker');
    }
  }
}
