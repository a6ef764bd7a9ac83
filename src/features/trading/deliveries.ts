/** What the relay asks of brokers: whether the credentials of an account whose time has come still work. */
import { DeliveryError } from '../../adapters/ports.ts';
import type { TopicHandler } from '../../engine/delivery.ts';
import { EventRefused } from '../../engine/engine.ts';
import { systemEnvelope } from '../../engine/records.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { check, openCredentials, provenToken } from './credentials.ts';

export const tradingDeliveries = (s: Services): Record<string, TopicHandler> => ({
  'broker.check': async ({ payload }) => {
    const { tradingAccountId: id } = payload as { tradingAccountId: string };
    const stored = await s.tradingAccounts.credentialsOf(id);
    const broker = stored && s.adapters.brokers[stored.broker];
    // Unlinked since, of a blocked owner, or of a broker that is no longer served: nothing waits for the answer.
    if (!broker || stored.ownerStatus !== 'active') return;
    const envelope = systemEnvelope('provider');
    const credentials = await openCredentials(s, stored, envelope).catch((error) => {
      if (error instanceof Problem && error.code === 'credentials_unreadable')
        throw new DeliveryError(error.message, false, { cause: error });
      throw error;
    });
    const { outcome } = await check(broker, stored.brokerUserId, credentials);
    const now = s.clock.now();
    const proof = outcome === 'valid' ? provenToken(broker, id, now) : null;
    try {
      await s.engine.send(
        'trading_link',
        { id: stored.flowId },
        () => ({ event: { type: 'CHECKED', now, generation: stored.keyVersion, outcome, proof } }),
        { now, envelope, deviceId: null },
      );
    } catch (error) {
      // Rotated or unlinked while the broker was asked: the answer is about credentials that are gone.
      if (!(error instanceof EventRefused)) throw error;
    }
  },
});
