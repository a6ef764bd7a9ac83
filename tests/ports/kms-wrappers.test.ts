/** What every keeper of master keys promises of a data key: local keys, AWS KMS (moto) and Vault transit (stand-in) alike. */
import { randomBytes, randomUUID } from 'node:crypto';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAwsWrapper } from '../../src/adapters/kms-aws.ts';
import { createLocalWrapper } from '../../src/adapters/kms-local.ts';
import { createVaultWrapper } from '../../src/adapters/kms-vault.ts';
import { DecryptionError, type KeyWrapper, KmsUnavailable } from '../../src/kernel/kms.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { sigv4 } from '../support/sigv4.ts';
import { startVault, type VaultServer } from '../support/vault-server.ts';
import { answer, recordingServer } from './recording-server.ts';

/** `rotated`: the same keeper once its active master key is another one. `retired`: the first master key is gone then. */
type Keeper = {
  before: KeyWrapper;
  rotate(): Promise<KeyWrapper>;
  retire(): Promise<KeyWrapper>;
  /** False where the stand-in goes on opening what a key that is gone has wrapped. */
  forgetsRetired?: boolean;
};

const account = randomUUID();
const other = randomUUID();

function promises(keeper: () => Keeper): void {
  test('gives a data key back to its account, each time under another blob', async () => {
    const { before } = keeper();
    const key = randomBytes(32);
    const blobs = await Promise.all([1, 2, 3].map(() => before.wrap(key, account)));
    expect(new Set(blobs.map(({ blob }) => blob)).size).toBe(3);
    for (const wrapped of blobs) {
      expect(await before.unwrap({ wrapped, account })).toEqual(key);
      expect(wrapped.key).toBe(await before.activeKey());
      expect(wrapped.blob).not.toContain(key.toString('base64').slice(0, 20));
    }
  });

  test('refuses the data key of another account, an altered one and a truncated one', async () => {
    const { before } = keeper();
    const wrapped = await before.wrap(randomBytes(32), account);
    const middle = Math.floor(wrapped.blob.length / 2);
    const flipped = wrapped.blob[middle] === 'A' ? 'B' : 'A';
    const altered = wrapped.blob.slice(0, middle) + flipped + wrapped.blob.slice(middle + 1);
    const bad = [
      { wrapped, account: other },
      { wrapped: { ...wrapped, blob: altered }, account },
      { wrapped: { ...wrapped, blob: wrapped.blob.slice(0, 24) }, account },
    ];
    for (const owned of bad) {
      await expect(before.unwrap(owned)).rejects.toBeInstanceOf(DecryptionError);
      const [result] = await before.rewrap([owned]);
      expect(result).toBeInstanceOf(DecryptionError);
    }
  });

  test('after a rotation both keys open, rewrapped ones are under the new key, and the old key is needed no more', async () => {
    const { before, rotate, retire, forgetsRetired = true } = keeper();
    const keys = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const old = await Promise.all(keys.map((key) => before.wrap(key, account)));
    const rotated = await rotate();
    expect(await rotated.activeKey()).not.toBe(old[0]?.key);
    const owned = old.map((wrapped) => ({ wrapped, account }));
    for (const [i, one] of owned.entries()) expect(await rotated.unwrap(one)).toEqual(keys[i]);
    // One that belongs to nobody does not spoil the batch.
    const [a, b, stray, c] = await rotated.rewrap([
      owned[0]!,
      owned[1]!,
      { ...owned[2]!, account: other },
      owned[2]!,
    ]);
    expect(stray).toBeInstanceOf(DecryptionError);
    const retired = await retire();
    for (const [i, wrapped] of [a, b, c].entries()) {
      if (!wrapped || wrapped instanceof Error) throw new Error('was not rewrapped');
      expect(wrapped.key).toBe(await retired.activeKey());
      expect(await retired.unwrap({ wrapped, account })).toEqual(keys[i]);
    }
    if (forgetsRetired) await expect(retired.unwrap(owned[0]!)).rejects.toBeInstanceOf(DecryptionError);
  });
}

describe('local master keys', () => {
  const [first, second] = [1, 2].map((n) => ({ id: `local:${n}`, key: randomBytes(32) })) as [
    { id: string; key: Buffer },
    { id: string; key: Buffer },
  ];
  promises(() => ({
    before: createLocalWrapper({ keys: [first], activeId: first.id }),
    rotate: async () => createLocalWrapper({ keys: [first, second], activeId: second.id }),
    retire: async () => createLocalWrapper({ keys: [second], activeId: second.id }),
  }));
});

describe('Vault transit', () => {
  let vault: VaultServer;
  let wrapper: ReturnType<typeof createVaultWrapper>;
  const quick = () => createVaultWrapper({ ...vault, timeoutMs: 300 });
  beforeAll(async () => {
    vault = await startVault();
    wrapper = createVaultWrapper(vault);
  });
  afterAll(async () => {
    await wrapper.close();
    await vault.close();
  });

  promises(() => ({
    before: wrapper,
    rotate: async () => {
      vault.rotate();
      return wrapper;
    },
    retire: async () => {
      vault.setMinDecryptionVersion(Number(/\d+$/.exec(await wrapper.activeKey())?.[0]));
      return wrapper;
    },
  }));

  test('sees data keys and the account only: no value, and one request for a whole batch', async () => {
    const owned = await Promise.all(
      Array.from({ length: 50 }, async () => ({
        wrapped: await wrapper.wrap(randomBytes(32), account),
        account,
      })),
    );
    vault.calls.length = 0;
    expect((await wrapper.rewrap(owned)).filter((r) => r instanceof Error)).toEqual([]);
    expect(vault.calls.map(({ path }) => path)).toEqual(['/v1/transit/rewrap/vestibule']);
    const { context } = JSON.parse(vault.calls[0]!.body).batch_input[0];
    expect(Buffer.from(context, 'base64').toString()).toBe(account);
  });

  test.each([
    [
      'sealed',
      (v: VaultServer) => {
        v.sealed = true;
      },
    ],
    [
      'silent',
      (v: VaultServer) => {
        v.silent = true;
      },
    ],
    [
      'answering with a page',
      (v: VaultServer) => {
        v.lie = { status: 200, body: '<html>' };
      },
    ],
    [
      'answering with other data',
      (v: VaultServer) => {
        v.lie = { status: 200, body: '{"data":{}}' };
      },
    ],
    [
      'redirecting',
      (v: VaultServer) => {
        v.lie = { status: 307, body: '' };
      },
    ],
  ])('a Vault that is %s is unavailable: nothing is wrapped and nothing opens', async (_name, break_) => {
    const wrapped = await wrapper.wrap(randomBytes(32), account);
    const impatient = quick();
    break_(vault);
    try {
      await expect(impatient.wrap(randomBytes(32), account)).rejects.toBeInstanceOf(KmsUnavailable);
      await expect(impatient.unwrap({ wrapped, account })).rejects.toBeInstanceOf(KmsUnavailable);
      await expect(impatient.activeKey()).rejects.toBeInstanceOf(KmsUnavailable);
      await expect(impatient.rewrap([{ wrapped, account }])).rejects.toBeInstanceOf(KmsUnavailable);
    } finally {
      Object.assign(vault, { sealed: false, silent: false, lie: null });
      await impatient.close();
    }
  });

  test('a token that ended is an outage, not a damaged value, and errors quote no secret', async () => {
    const wrapped = await wrapper.wrap(randomBytes(32), account);
    const stranger = createVaultWrapper({ ...vault, token: 'hvs.planted' });
    const failed = await stranger.unwrap({ wrapped, account }).catch((error) => error);
    expect(failed).toBeInstanceOf(KmsUnavailable);
    expect(String(failed.stack)).not.toMatch(/hvs\.planted|vault:v1:/);
    await stranger.close();
  });

  test('plain http to another machine is refused at wiring time', () => {
    expect(() => createVaultWrapper({ ...vault, url: 'http://vault.internal:8200' })).toThrow(/https/);
  });
});

const started = await startMoto();
const moto = 'missing' in started ? null : started;
if (moto === null) console.warn(`AWS KMS is not tested: ${(started as { missing: string }).missing}`);

describe('requests to AWS', () => {
  test('the judge of signatures agrees with the example that AWS has published', () => {
    const headers = {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      host: 'iam.amazonaws.com',
      'x-amz-date': '20150830T123600Z',
    };
    const query = 'Action=ListUsers&Version=2010-05-08';
    expect(
      sigv4(
        { method: 'GET', path: '/', query, headers, body: '' },
        {
          secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
          scope: ['20150830', 'us-east-1', 'iam'],
          signedHeaders: ['content-type', 'host', 'x-amz-date'],
        },
      ),
    ).toBe('5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7');
  });

  test('are signed with version 4 over their body, headers and time', async () => {
    process.env.AWS_ACCESS_KEY_ID = 'test';
    process.env.AWS_SECRET_ACCESS_KEY = 'test';
    const blob = Buffer.from('wrapped').toString('base64');
    const server = await recordingServer(
      answer(200, JSON.stringify({ KeyId: 'arn:aws:kms:eu-central-1:1:key/k', CiphertextBlob: blob }), {
        'content-type': 'application/x-amz-json-1.1',
      }),
    );
    const wrapper = createAwsWrapper({ keyId: 'k', region: 'eu-central-1', endpoint: server.url });
    await wrapper.wrap(randomBytes(32), account);
    const { method, path, headers, body } = server.requests[0]!;
    const [, date = '', signed = '', signature] =
      /^AWS4-HMAC-SHA256 Credential=test\/(\d{8})\/eu-central-1\/kms\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
        headers.authorization ?? '',
      ) ?? [];
    const signedHeaders = signed.split(';');
    expect(signedHeaders).toEqual(expect.arrayContaining(['host', 'x-amz-date', 'x-amz-target']));
    const judged = sigv4(
      { method, path, query: '', headers, body },
      { secret: 'test', scope: [date, 'eu-central-1', 'kms'], signedHeaders },
    );
    expect(signature).toBe(judged);
    wrapper.close();
    await server.close();
  });
});

describe.skipIf(moto === null)('AWS KMS', () => {
  const region = 'eu-central-1';
  const { url: endpoint } = moto ?? { url: '' };
  let admin: KMSClient;
  const open: { close(): void }[] = [];
  const wrapperOf = (keyId: string, at = endpoint, timeoutMs = 10_000) => {
    const wrapper = createAwsWrapper({ keyId, region, endpoint: at, timeoutMs });
    open.push(wrapper);
    return wrapper;
  };
  const createKey = async () => (await admin.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
  let first = '';
  let second = '';
  beforeAll(async () => {
    process.env.AWS_ACCESS_KEY_ID = 'test';
    process.env.AWS_SECRET_ACCESS_KEY = 'test';
    admin = new KMSClient({ region, endpoint });
    first = await createKey();
    second = await createKey();
  });
  afterAll(async () => {
    for (const one of open) one.close();
    admin.destroy();
    await (moto as Moto).stop();
  });

  promises(() => ({
    before: wrapperOf(first),
    rotate: async () => wrapperOf(second),
    retire: async () => wrapperOf(second),
    // moto opens with disabled keys too.
    forgetsRetired: false,
  }));

  test('an unknown key and a KMS that is away are outages; a call ends in time', async () => {
    const unknown = wrapperOf(`arn:aws:kms:${region}:123456789012:key/${randomUUID()}`);
    await expect(unknown.wrap(randomBytes(32), account)).rejects.toBeInstanceOf(KmsUnavailable);
    const nowhere = wrapperOf(second, 'http://127.0.0.1:9', 800);
    await expect(nowhere.wrap(randomBytes(32), account)).rejects.toBeInstanceOf(KmsUnavailable);
    const silent = await recordingServer(() => {});
    await expect(wrapperOf(second, silent.url, 300).wrap(randomBytes(32), account)).rejects.toBeInstanceOf(
      KmsUnavailable,
    );
    await silent.close();
  });

  test('a wrong context is refused at the first answer and never tried again; a throttled call is', async () => {
    const aws = (status: number, type: string) =>
      answer(status, JSON.stringify({ __type: type, message: 'no' }), {
        'content-type': 'application/x-amz-json-1.1',
      });
    const server = await recordingServer(aws(400, 'InvalidCiphertextException'));
    const wrapper = wrapperOf(second, server.url);
    const owned = { wrapped: { key: second, blob: 'AAAA' }, account };
    await expect(wrapper.unwrap(owned)).rejects.toBeInstanceOf(DecryptionError);
    expect(server.requests).toHaveLength(1);
    const [{ headers, body }] = server.requests as [(typeof server.requests)[0]];
    expect(JSON.parse(body)).toMatchObject({ EncryptionContext: { account }, KeyId: second });
    expect(headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=test\/\d{8}\/eu-central-1\/kms\/aws4_request/,
    );
    server.reply = aws(400, 'ThrottlingException');
    await expect(wrapper.unwrap(owned)).rejects.toBeInstanceOf(KmsUnavailable);
    expect(server.requests).toHaveLength(3);
    await server.close();
  });
});
