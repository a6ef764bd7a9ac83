/**
 * HashiCorp Vault (or OpenBao) transit as the keeper of master keys. The key must be a derived one: its `context` binds a
 * wrapped data key to its account, since `rewrap` takes no associated data. A master key must never leave Vault.
 */
import { Agent, request } from 'undici';
import { z } from 'zod';
import { DecryptionError, type KeyWrapper, KmsUnavailable, type WrappedKey } from '../kernel/kms.ts';
import { providerUrl } from './http.ts';

export type VaultKmsOptions = {
  url: string;
  token: string;
  /** Name of the transit key; `transit` is the mount unless the name holds one, as `mount/name`. */
  key: string;
  /** Milliseconds for one call; 2.5 s. */
  timeoutMs?: number;
};

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const CIPHERTEXT = /^vault:v(\d{1,9}):[A-Za-z0-9+/]+={0,2}$/;

const encrypted = z.object({ data: z.object({ ciphertext: z.string().regex(CIPHERTEXT) }) });
const decrypted = z.object({ data: z.object({ plaintext: z.base64() }) });
const described = z.object({ data: z.object({ latest_version: z.int(), derived: z.boolean() }) });
const rewrapped = z.object({
  data: z.object({
    batch_results: z.array(
      z.object({ ciphertext: z.string().optional(), error: z.string().optional() }).loose(),
    ),
  }),
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** @throws Error for an unusable address or name */
export function createVaultWrapper({
  url,
  token,
  key,
  timeoutMs = 2500,
}: VaultKmsOptions): KeyWrapper & { close(): Promise<void> } {
  const base = providerUrl(url).replace(/\/+$/, '');
  const [name, mount = 'transit'] = key.split('/').reverse() as [string, string?];
  if (![name, mount].every((part) => /^[A-Za-z0-9_.-]{1,100}$/.test(part))) {
    throw new Error('The name of the transit key is not valid');
  }
  const agent = new Agent({ connect: { timeout: 1000 }, maxResponseSize: MAX_ANSWER_BYTES });
  const label = (ciphertext: string) => `vault:${mount}/${name}:v${CIPHERTEXT.exec(ciphertext)?.[1]}`;

  /** @throws KmsUnavailable; `refused` decides what a 400 means, which says that this input cannot be worked on. */
  async function call<T extends z.ZodType>(
    method: 'GET' | 'POST',
    operation: string,
    body: object | undefined,
    schema: T,
    refused: () => Error,
  ): Promise<z.output<T>> {
    let status: number;
    let parsed: z.ZodSafeParseResult<z.output<T>>;
    try {
      const response = await request(`${base}/v1/${mount}/${operation}`, {
        method,
        dispatcher: agent,
        headers: { 'x-vault-token': token, 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs),
      });
      status = response.statusCode;
      const text = await response.body.text();
      parsed = schema.safeParse(text === '' ? null : JSON.parse(text));
    } catch {
      throw new KmsUnavailable('Vault could not be reached in time');
    }
    // A batch of which some items failed may be answered 400, with all results.
    if (status === 400 && parsed.success) return parsed.data;
    if (status === 400) throw refused();
    // 403 is ours to repair (a token that ended), and 503 is a sealed Vault: neither says anything about the data.
    if (status !== 200) throw new KmsUnavailable(`Vault answered ${status}`);
    if (!parsed.success) throw new KmsUnavailable('Vault answered something else than documented');
    return parsed.data;
  }

  const unusable = () => new KmsUnavailable('Vault refused the request');
  const wrong = () => new DecryptionError('Vault does not open this data key for this account');

  return {
    async activeKey() {
      const { data } = await call('GET', `keys/${name}`, undefined, described, unusable);
      if (!data.derived) throw new KmsUnavailable('The transit key is not a derived one');
      return `vault:${mount}/${name}:v${data.latest_version}`;
    },
    async wrap(dataKey, account) {
      const body = { plaintext: dataKey.toString('base64'), context: base64(account) };
      const { data } = await call('POST', `encrypt/${name}`, body, encrypted, unusable);
      return { key: label(data.ciphertext), blob: data.ciphertext };
    },
    async unwrap({ wrapped, account }) {
      if (!CIPHERTEXT.test(wrapped.blob)) throw wrong();
      const body = { ciphertext: wrapped.blob, context: base64(account) };
      const { data } = await call('POST', `decrypt/${name}`, body, decrypted, wrong);
      const dataKey = Buffer.from(data.plaintext, 'base64');
      if (dataKey.length !== 32) throw wrong();
      return dataKey;
    },
    async rewrap(owned) {
      if (owned.length === 0) return [];
      const batch_input = owned.map(({ wrapped, account }) => ({
        ciphertext: wrapped.blob,
        context: base64(account),
      }));
      const { data } = await call('POST', `rewrap/${name}`, { batch_input }, rewrapped, unusable);
      if (data.batch_results.length !== owned.length) throw unusable();
      return data.batch_results.map(({ ciphertext, error }): WrappedKey | DecryptionError =>
        error || !ciphertext || !CIPHERTEXT.test(ciphertext)
          ? wrong()
          : { key: label(ciphertext), blob: ciphertext },
      );
    },
    close: () => agent.close(),
  };
}
