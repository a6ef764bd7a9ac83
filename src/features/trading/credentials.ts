/**
 * Proves credentials before anything is decided: opens sealed ones, asks the broker, seals new ones. It writes nothing
 * but alarms; a value that does not open must never be answered with anything but a refusal.
 */
import type { SealedCredentials } from '../../../db/trading-accounts.ts';
import type { ProvenToken } from '../../../machines/trading-link.ts';
import { type BrokerName, type BrokerPort, BrokerRefused, BrokerUnavailable } from '../../adapters/ports.ts';
import type { Envelope } from '../../engine/records.ts';
import type { Services } from '../../http/services.ts';
import { DecryptionError } from '../../kernel/kms.ts';
import { Problem } from '../../kernel/problems.ts';

export type Credentials = { api_key: string; api_secret: string; access_token?: string };
export type StoredCredentials = NonNullable<
  Awaited<ReturnType<Services['tradingAccounts']['credentialsOf']>>
>;

/** Checks after 06:00 are spread over so much time, by the account's id. */
const SPREAD_MS = 30 * 60_000;

export const lastFour = (text: string): string => text.slice(-4);

/** @throws Problem validation_failed for a broker that is not configured here */
export function brokerOf({ adapters }: Pick<Services, 'adapters'>, name: BrokerName): BrokerPort {
  const broker = adapters.brokers[name];
  if (broker) return broker;
  throw new Problem('validation_failed', {
    errors: [{ pointer: '/body/broker', code: 'not_served', message: 'is not served here' }],
  });
}

export function provenToken(broker: BrokerPort, tradingAccountId: string, now: number): ProvenToken {
  const endsAt = broker.endOf(now);
  const share = Number.parseInt(tradingAccountId.slice(-8), 16) / 2 ** 32;
  return { endsAt, recheckAt: endsAt + Math.floor(share * SPREAD_MS) };
}

/**
 * An access token of these credentials, accepted by the broker just now; null when none was given.
 * @throws Problem broker_rejected, BrokerUnavailable
 */
export async function accessTokenOf(
  broker: BrokerPort,
  brokerUserId: string,
  given: {
    apiKey: string;
    apiSecret: string;
    accessToken?: string | undefined;
    requestToken?: string | undefined;
  },
): Promise<string | null> {
  const { apiKey, accessToken, requestToken } = given;
  if (accessToken === undefined && requestToken === undefined) return null;
  let found: { accessToken: string; userId: string };
  try {
    found =
      requestToken === undefined
        ? {
            accessToken: accessToken ?? '',
            ...(await broker.profile({ apiKey, accessToken: accessToken ?? '' })),
          }
        : await broker.exchange({ ...given, requestToken });
  } catch (error) {
    if (!(error instanceof BrokerRefused)) throw error;
    throw new Problem('broker_rejected', {}, { cause: error });
  }
  if (found.userId.toUpperCase() !== brokerUserId)
    throw new Problem('broker_rejected', { detail: 'The token belongs to another user of the broker.' });
  return found.accessToken;
}

/** What the broker says of stored credentials with an access token. */
export async function check(
  broker: BrokerPort,
  brokerUserId: string,
  { api_key: apiKey, access_token: accessToken = '' }: Credentials,
): Promise<{ outcome: 'valid' | 'refused' | 'unreachable'; cause?: BrokerUnavailable }> {
  try {
    const { userId } = await broker.profile({ apiKey, accessToken });
    return { outcome: userId.toUpperCase() === brokerUserId ? 'valid' : 'refused' };
  } catch (error) {
    if (error instanceof BrokerRefused) return { outcome: 'refused' };
    if (error instanceof BrokerUnavailable) return { outcome: 'unreachable', cause: error };
    throw error;
  }
}

/** @throws KmsUnavailable */
export const sealCredentials = (
  { vault }: Pick<Services, 'vault'>,
  subject: { owner: string; account: string; keyVersion: number },
  { api_key, api_secret, access_token }: Credentials,
): Promise<SealedCredentials> =>
  vault.seal(subject, {
    api_key,
    api_secret,
    ...(access_token === undefined ? {} : { access_token }),
  }) as Promise<SealedCredentials>;

/** @throws Problem credentials_unreadable, once the alarm is written; KmsUnavailable */
export async function openCredentials(
  s: Pick<Services, 'vault' | 'log' | 'commitAccount' | 'clock'>,
  stored: StoredCredentials,
  envelope: Envelope,
): Promise<Credentials> {
  const { id, ownerId, keyVersion, wrappingKey, wrappedKey, keyCheck, fields } = stored;
  try {
    if (wrappingKey === null || wrappedKey === null || keyCheck === null)
      throw new DecryptionError('The data key is gone');
    const opened = await s.vault.open(
      { owner: ownerId, account: id, keyVersion },
      { wrappingKey, wrappedKey, keyCheck, fields },
    );
    const { api_key, api_secret, access_token } = opened as Partial<Credentials>;
    if (api_key === undefined || api_secret === undefined) throw new DecryptionError('A field is missing');
    return { api_key, api_secret, ...(access_token === undefined ? {} : { access_token }) };
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    s.log.error({ tradingAccountId: id, reason: error.message }, 'stored credentials do not open');
    const type = 'trading_account.credentials_unreadable';
    await s.commitAccount(
      {
        account: { id: ownerId, eventSeq: stored.ownerSeq },
        parts: [],
        event: { type, outcome: 'failure', tradingAccountId: id },
      },
      { now: s.clock.now(), envelope, deviceId: null },
    );
    throw new Problem('credentials_unreadable', {}, { cause: error });
  }
}
