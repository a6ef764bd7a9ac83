/** A stand-in for HashiCorp Vault's transit engine on loopback, as its API documentation describes it: derived keys, versions, batches, errors. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type TransitKey = { versions: Buffer[]; minDecryptionVersion: number };
type Item = { plaintext?: string; ciphertext?: string; context?: string };

export type VaultServer = Awaited<ReturnType<typeof startVault>>;

export async function startVault({ token = 'test-token', key = 'vestibule' } = {}) {
  const keys = new Map<string, TransitKey>([[key, { versions: [randomBytes(32)], minDecryptionVersion: 1 }]]);
  const state = {
    sealed: false,
    /** Answers nothing at all. */
    silent: false,
    /** Replaces every answer. */
    lie: null as null | { status: number; body: string },
    calls: [] as { method: string; path: string; body: string }[],
  };

  const keyOf = (name: string): TransitKey => {
    const found = keys.get(name);
    if (!found) throw new Refused(400, 'encryption key not found');
    return found;
  };
  const derive = (material: Buffer, context: string | undefined): Buffer => {
    if (!context)
      throw new Refused(400, "missing 'context' for key derivation; the key was created using a derived key");
    return Buffer.from(hkdfSync('sha256', material, Buffer.alloc(0), Buffer.from(context, 'base64'), 32));
  };
  const encrypt = (transit: TransitKey, item: Item): string => {
    if (typeof item.plaintext !== 'string') throw new Refused(400, 'missing plaintext to encrypt');
    const nonce = randomBytes(12);
    const material = transit.versions.at(-1) as Buffer;
    const cipher = createCipheriv('aes-256-gcm', derive(material, item.context), nonce);
    const bytes = [nonce, cipher.update(item.plaintext, 'base64'), cipher.final(), cipher.getAuthTag()];
    return `vault:v${transit.versions.length}:${Buffer.concat(bytes).toString('base64')}`;
  };
  const decrypt = (transit: TransitKey, item: Item): string => {
    const [, version, text] = /^vault:v(\d+):(.+)$/.exec(item.ciphertext ?? '') ?? [];
    if (!version || !text) throw new Refused(400, 'invalid ciphertext: no prefix');
    const material = transit.versions[Number(version) - 1];
    if (!material) throw new Refused(400, 'invalid ciphertext: version is too new');
    if (Number(version) < transit.minDecryptionVersion)
      throw new Refused(400, 'ciphertext or signature version is disallowed by policy (too old)');
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length < 28) throw new Refused(400, 'invalid ciphertext: too short');
    const decipher = createDecipheriv('aes-256-gcm', derive(material, item.context), bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(-16));
    try {
      const plain = [decipher.update(bytes.subarray(12, -16)), decipher.final()];
      return Buffer.concat(plain).toString('base64');
    } catch {
      throw new Refused(400, 'cipher: message authentication failed');
    }
  };

  function work(method: string, path: string, body: { batch_input?: Item[] } & Item): object {
    const [, operation = '', name = '', action] =
      /^\/v1\/transit\/([a-z]+)\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
    const each = (one: (item: Item) => object): object => {
      if (!body.batch_input) return one(body);
      const batch_results = body.batch_input.map((item) => {
        try {
          return one(item);
        } catch (error) {
          return { error: (error as Error).message };
        }
      });
      return { batch_results };
    };
    if (operation === 'keys') {
      const transit = keys.get(name);
      if (!transit) throw new Refused(404, '');
      if (method === 'POST' && action === 'rotate') transit.versions.push(randomBytes(32));
      const versions = transit.versions.map((_, i) => [String(i + 1), 1_700_000_000]);
      return {
        name,
        type: 'aes256-gcm96',
        derived: true,
        kdf: 'hkdf_sha256',
        latest_version: transit.versions.length,
        min_decryption_version: transit.minDecryptionVersion,
        keys: Object.fromEntries(versions),
      };
    }
    if (method !== 'POST') throw new Refused(405, 'unsupported operation');
    const transit = keyOf(name);
    if (operation === 'encrypt') return each((item) => ({ ciphertext: encrypt(transit, item) }));
    if (operation === 'decrypt') return each((item) => ({ plaintext: decrypt(transit, item) }));
    if (operation === 'rewrap') {
      return each((item) => ({
        ciphertext: encrypt(transit, { ...item, plaintext: decrypt(transit, item) }),
      }));
    }
    throw new Refused(404, 'no handler for route');
  }

  const send = (response: ServerResponse, status: number, body: object | string): void => {
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const path = request.url ?? '';
    state.calls.push({ method: request.method ?? '', path, body });
    if (state.silent) return;
    if (state.lie) return send(response, state.lie.status, state.lie.body);
    if (state.sealed) return send(response, 503, { errors: ['Vault is sealed'] });
    if (request.headers['x-vault-token'] !== token)
      return send(response, 403, { errors: ['permission denied'] });
    try {
      const data = work(request.method ?? '', path, body === '' ? {} : JSON.parse(body));
      send(response, 200, { request_id: 'stand-in', lease_id: '', renewable: false, data });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      send(response, error.status, { errors: error.message ? [error.message] : [] });
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    key,
    rotate: () => keyOf(key).versions.push(randomBytes(32)),
    /** Versions before it no longer decrypt. */
    setMinDecryptionVersion(version: number) {
      keyOf(key).minDecryptionVersion = version;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  });
}
