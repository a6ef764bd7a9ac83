import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CompactEncrypt, GeneralSign } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { flowTokenFor } from '../../src/kernel/crypto/flow-token.ts';
import { generateSigningKey, type SigningAlgorithm, type Tokens } from '../../src/kernel/tokens/index.ts';
import { refreshTokenFor } from '../../src/kernel/tokens/refresh-secret.ts';
import { AUDIENCE, b64, decode, forge, GRANT, ISSUER, setUp } from './helpers.ts';

type Bench = {
  tokens: Tokens;
  privateKey: KeyObject;
  publicKey: KeyObject;
  signature: (input: Buffer) => Uint8Array;
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
  token: string;
};

async function bench(alg: SigningAlgorithm): Promise<Bench> {
  const { tokens, manager, store, kms } = await setUp({ alg });
  const { kid } = manager.keys().signing;
  const jwk = JSON.parse(await kms.decrypt(store.rows.get(kid)!.privateSealed, `signing-key:${kid}`));
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  const { token } = await tokens.issueAccessToken(GRANT);
  const signature = (input: Buffer) =>
    alg === 'EdDSA'
      ? sign(null, input, privateKey)
      : sign('sha256', input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return { tokens, privateKey, publicKey: createPublicKey(privateKey), signature, token, ...decode(token) };
}

let rsa: Bench;
let ec: Bench;
let ed: Bench;
beforeAll(async () => {
  [rsa, ec, ed] = await Promise.all([bench('RS256'), bench('ES256'), bench('EdDSA')]);
});

const refused = (tokens: Tokens, token: string, note?: string) =>
  expect(tokens.verifyAccessToken(token), note).rejects.toMatchObject({ code: 'invalid_token', status: 401 });

test('the forger itself makes good tokens, so that only the attack can be what fails', async () => {
  for (const { tokens, header, payload, signature } of [rsa, ec, ed])
    await expect(tokens.verifyAccessToken(forge(header, payload, signature))).resolves.toBeDefined();
});

describe('algorithm', () => {
  test('none, in every mix of cases, with and without a signature', async () => {
    const spellings = Array.from({ length: 16 }, (_, bits) =>
      [...'none'].map((letter, i) => (bits & (1 << i) ? letter.toUpperCase() : letter)).join(''),
    );
    for (const { tokens, header, payload, signature } of [rsa, ec, ed])
      for (const alg of [...spellings, '', null, undefined, 0, ['none']]) {
        await refused(
          tokens,
          forge({ ...header, alg }, payload, () => new Uint8Array()),
          `${alg}`,
        );
        await refused(tokens, forge({ ...header, alg }, payload, signature), `${alg}`);
      }
  });

  test('HS256 keyed with any spelling of the public key', async () => {
    for (const { tokens, publicKey, header, payload } of [rsa, ec, ed]) {
      const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
      const der = publicKey.export({ format: 'der', type: 'spki' });
      const jwk = publicKey.export({ format: 'jwk' });
      const modulus = Buffer.from((jwk.n ?? jwk.x)!, 'base64url');
      const spellings = [pem, pem.trim(), ` ${pem}`, `${pem}\n`, pem.replaceAll('\n', '\r\n'), der];
      for (const key of [
        ...spellings,
        der.toString('base64'),
        JSON.stringify(jwk),
        b64(JSON.stringify(jwk)),
        modulus,
      ])
        for (const alg of ['HS256', 'hs256', header.alg])
          await refused(
            tokens,
            forge({ ...header, alg }, payload, (input) => createHmac('sha256', key).update(input).digest()),
          );
    }
  });

  test('another asymmetric algorithm than that of the key', async () => {
    const pss = (input: Buffer) => sign('sha256', input, { key: rsa.privateKey, padding: 6, saltLength: 32 });
    await refused(rsa.tokens, forge({ ...rsa.header, alg: 'PS256' }, rsa.payload, pss));
    await refused(
      rsa.tokens,
      forge({ ...rsa.header, alg: 'RS384' }, rsa.payload, (i) => sign('sha384', i, rsa.privateKey)),
    );
    await refused(ec.tokens, forge({ ...ec.header, alg: 'RS256' }, ec.payload, rsa.signature));
    await refused(ed.tokens, forge({ ...ed.header, alg: 'Ed25519' }, ed.payload, ed.signature));
  });
});

describe('signature', () => {
  test('missing, empty, of another token, truncated or extended', async () => {
    for (const { tokens, token, header, payload, signature } of [rsa, ec, ed]) {
      const input = token.slice(0, token.lastIndexOf('.'));
      const other = forge(header, { ...payload, tier: 'LIMITED' }, signature);
      const borrowed = other.slice(other.lastIndexOf('.'));
      for (const end of ['', '.', borrowed, token.slice(token.lastIndexOf('.'), -4), `${borrowed}AAAA`])
        await refused(tokens, input + end);
    }
  });

  test('ES256 with r = s = 0, raw and DER, and good signatures in DER', async () => {
    const zeroDer = Buffer.from('3006020100020100', 'hex');
    for (const zero of [Buffer.alloc(64), zeroDer, Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(132)])
      await refused(
        ec.tokens,
        forge(ec.header, ec.payload, () => zero),
      );
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
    await refused(
      ec.tokens,
      forge(ec.header, ec.payload, () => Buffer.concat([order, order])),
    );
    await refused(
      ec.tokens,
      forge(ec.header, ec.payload, (input) => sign('sha256', input, ec.privateKey)),
    );
  });

  test('by a stranger, under our kid', async () => {
    const stranger = await bench('ES256');
    await refused(ec.tokens, forge(ec.header, ec.payload, stranger.signature));
    await refused(ec.tokens, stranger.token);
  });
});

describe('header', () => {
  test('keys it brings along or points to are neither used nor fetched', async () => {
    const calls: string[] = [];
    const server = createServer((request, response) => {
      calls.push(request.url!);
      response.end('{"keys":[]}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { publicJwk, privateJwk, kid } = await generateSigningKey('ES256');
    const key = createPrivateKey({ key: privateJwk as never, format: 'jwk' });
    const own = (input: Buffer) => sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' });
    const lures = [{ jwk: publicJwk }, { jku: `${url}/jwks` }, { x5u: `${url}/cert` }, { x5c: ['MIIB'] }];
    for (const lure of lures)
      for (const named of [ec.header.kid, kid, `${url}/key`, undefined])
        await refused(ec.tokens, forge({ ...ec.header, kid: named, ...lure }, ec.payload, own));
    // Even correctly signed, such a header is refused.
    for (const lure of lures)
      await refused(ec.tokens, forge({ ...ec.header, ...lure }, ec.payload, ec.signature));
    const seen = await fetch(`${url}/control`).then(() => calls);
    server.close();
    expect(seen).toEqual(['/control']);
  });

  test('extensions it demands are refused although correctly signed', async () => {
    const extensions = [
      { crit: ['x'], x: 1 },
      { crit: [] },
      { crit: ['b64'], b64: false },
      { b64: true },
      { zip: 'DEF' },
      { cty: 'JWT' },
      { x5t: 'AAAA' },
      { __proto__x: 1 },
    ];
    for (const extra of extensions)
      await refused(
        ec.tokens,
        forge({ ...ec.header, ...extra }, ec.payload, ec.signature),
        JSON.stringify(extra),
      );
  });

  test('another type, or none, is refused although correctly signed', async () => {
    for (const typ of [
      'JWT',
      'jwt',
      'AT+JWT',
      'application/at+jwt',
      'identity-proof+jwt',
      'logout+jwt',
      '',
      null,
      undefined,
    ])
      await refused(ec.tokens, forge({ ...ec.header, typ }, ec.payload, ec.signature), `${typ}`);
  });

  test('a kid is looked up among ours and nowhere else', async () => {
    const hostile = [
      '../../../../dev/null',
      "x' OR '1'='1",
      'a'.repeat(10_240),
      '__proto__',
      'constructor',
      '',
      0,
      null,
      [],
      {},
    ];
    for (const kid of hostile) {
      const empty = (input: Buffer) => createHmac('sha256', '').update(input).digest();
      await refused(ec.tokens, forge({ ...ec.header, kid, alg: 'HS256' }, ec.payload, empty));
      await refused(ec.tokens, forge({ ...ec.header, kid }, ec.payload, ec.signature));
    }
  });
});

describe('claims', () => {
  const variants: [string, unknown[]][] = [
    [
      'iss',
      [
        [ISSUER, 'https://evil.example'],
        [ISSUER],
        `${ISSUER}/`,
        ISSUER.toUpperCase(),
        '',
        null,
        undefined,
        {},
      ],
    ],
    [
      'aud',
      [
        [AUDIENCE],
        [AUDIENCE, `${AUDIENCE}:limited`],
        [],
        {},
        '',
        'other',
        `${AUDIENCE}:limited`,
        null,
        undefined,
      ],
    ],
    ['exp', [undefined, null, '9999999999', -1, 1, 1.5, [9_999_999_999]]],
    ['nbf', [undefined, '0', 9_999_999_999]],
    ['iat', [undefined, 'now']],
    ['sub', [undefined, '', 'user:', 'user:1', 'admin:0197a5d2-5c1e-7000-8000-000000000001', [], {}]],
    ['sid', [undefined, '', '../x']],
    ['jti', [undefined, 7]],
    ['client_id', [undefined, 'other']],
    ['tier', [undefined, 'ADMIN', 'LIMITED', ['FULL']]],
    ['roles', [undefined, 'admin', [1]]],
    ['scope', [undefined, ['read']]],
    ['mfa', [undefined, 'true', 1]],
    ['ver', [undefined, 2, '1']],
    ['auth_time', [undefined, '0']],
    ['acr', [undefined, ['aal2']]],
    ['amr', [undefined, 'pwd']],
  ];

  test.each(variants)(
    '%s must be exactly what it should be, although correctly signed',
    async (name, values) => {
      for (const value of values)
        await refused(
          ec.tokens,
          forge(ec.header, { ...ec.payload, [name]: value }, ec.signature),
          JSON.stringify(value),
        );
    },
  );

  test('a payload that is no object is refused', async () => {
    for (const payload of [null, [], 'text', 1, true])
      await refused(ec.tokens, forge(ec.header, payload, ec.signature));
  });
});

describe('other things that look like tokens', () => {
  test('JSON serialisation, encryption, nesting and stray characters', async () => {
    const jws = await new GeneralSign(Buffer.from(JSON.stringify(ec.payload)))
      .addSignature(ec.privateKey)
      .setProtectedHeader({ alg: 'ES256' })
      .sign();
    const jwe = await new CompactEncrypt(Buffer.from(ec.token))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(randomBytes(32));
    const { token } = ec;
    const stray = [
      '',
      '.',
      '..',
      '...',
      'null',
      ` ${token}`,
      `${token} `,
      `${token}\n`,
      `${token},${token}`,
      `${token}.`,
    ];
    for (const text of [...stray, `Bearer ${token}`, `${token}=`, JSON.stringify(jws), jwe, token.repeat(40)])
      await refused(ec.tokens, text);
    await expect(ec.tokens.verifyAccessToken(token)).resolves.toBeDefined();
  });

  test('refresh and flow tokens', async () => {
    const key = randomBytes(32);
    await refused(ec.tokens, refreshTokenFor(key, GRANT.sessionId, 0));
    await refused(ec.tokens, flowTokenFor(key, GRANT.sessionId, 0));
  });
});
