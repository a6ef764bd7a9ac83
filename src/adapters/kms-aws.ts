/**
 * AWS KMS as the keeper of master keys; its SDK is loaded by the first call. The encryption context stands in clear in
 * CloudTrail, so it holds the account's UUID and nothing else. A master key must never leave AWS.
 */
import type { KMSClient } from '@aws-sdk/client-kms';
import { DecryptionError, type KeyWrapper, KmsUnavailable, type OwnedKey } from '../kernel/kms.ts';
import { withinMs } from './kms-time.ts';

export type AwsKmsOptions = {
  /** Key id, ARN or alias of the key that wraps. */
  keyId: string;
  region: string | null;
  /** Another place that speaks the same protocol, for example a VPC endpoint. */
  endpoint: string | null;
  /** Milliseconds for one call, its one retry included; 2.5 s. */
  timeoutMs?: number;
};

/** ReEncrypt takes one key at a time. */
const AT_ONCE = 16;
/** What no retry can change: the blob, its context or its key is not the one it was wrapped with. */
const WRONG = new Set([
  'InvalidCiphertextException',
  'IncorrectKeyException',
  'NotFoundException',
  'InvalidKeyUsageException',
  'ValidationException',
]);

const contextOf = (account: string) => ({ account });

export function createAwsWrapper({
  keyId,
  region,
  endpoint,
  timeoutMs = 2500,
}: AwsKmsOptions): KeyWrapper & { close(): void } {
  let loaded: Promise<{ client: KMSClient; sdk: typeof import('@aws-sdk/client-kms') }> | null = null;
  const load = () => {
    loaded ??= import('@aws-sdk/client-kms').then((sdk) => ({
      sdk,
      client: new sdk.KMSClient({
        ...(region === null ? {} : { region }),
        ...(endpoint === null ? {} : { endpoint }),
        maxAttempts: 2,
        requestHandler: { connectionTimeout: 1000, requestTimeout: timeoutMs },
      }),
    }));
    return loaded;
  };

  /** @throws DecryptionError (for calls that open something) and KmsUnavailable, which quote nothing of the call */
  async function call<T>(
    work: (parts: Awaited<ReturnType<typeof load>>, abortSignal: AbortSignal) => Promise<T>,
    opens: boolean,
  ): Promise<T> {
    try {
      const parts = await load();
      return await withinMs(timeoutMs, (signal) => work(parts, signal));
    } catch (error) {
      const { name } = error as Error;
      if (opens && WRONG.has(name)) throw new DecryptionError(`AWS KMS answered ${name}`);
      throw new KmsUnavailable(`AWS KMS: ${/^\w{1,60}$/.test(name) ? name : 'no answer'}`);
    }
  }

  const wrap: KeyWrapper['wrap'] = (dataKey, account) =>
    call(async ({ client, sdk }, abortSignal) => {
      const input = { KeyId: keyId, Plaintext: dataKey, EncryptionContext: contextOf(account) };
      const answer = await client.send(new sdk.EncryptCommand(input), { abortSignal });
      return named(answer.KeyId, answer.CiphertextBlob);
    }, false);

  const rewrapOne = ({ wrapped, account }: OwnedKey) =>
    call(async ({ client, sdk }, abortSignal) => {
      const input = {
        CiphertextBlob: Buffer.from(wrapped.blob, 'base64'),
        SourceKeyId: wrapped.key,
        SourceEncryptionContext: contextOf(account),
        DestinationKeyId: keyId,
        DestinationEncryptionContext: contextOf(account),
      };
      const answer = await client.send(new sdk.ReEncryptCommand(input), { abortSignal });
      return named(answer.KeyId, answer.CiphertextBlob);
    }, true).catch((error) => {
      if (error instanceof DecryptionError) return error;
      throw error;
    });

  return {
    // The name AWS itself gives the key: an alias may point to another one tomorrow.
    activeKey: async () => (await wrap(Buffer.alloc(32), 'none')).key,
    wrap,
    unwrap: ({ wrapped, account }) =>
      call(async ({ client, sdk }, abortSignal) => {
        const input = {
          CiphertextBlob: Buffer.from(wrapped.blob, 'base64'),
          KeyId: wrapped.key,
          EncryptionContext: contextOf(account),
        };
        const { Plaintext } = await client.send(new sdk.DecryptCommand(input), { abortSignal });
        if (Plaintext?.length !== 32) throw new Error('no data key');
        return Buffer.from(Plaintext);
      }, true),
    async rewrap(owned) {
      const results: Awaited<ReturnType<typeof rewrapOne>>[] = [];
      for (let i = 0; i < owned.length; i += AT_ONCE) {
        results.push(...(await Promise.all(owned.slice(i, i + AT_ONCE).map(rewrapOne))));
      }
      return results;
    },
    close: () => void loaded?.then(({ client }) => client.destroy()),
  };
}

function named(key: string | undefined, blob: Uint8Array | undefined) {
  if (!key || !blob) throw new Error('no wrapped key');
  return { key, blob: Buffer.from(blob).toString('base64') };
}
