/** The documented proof, byte for byte, and the service around it. */
import { createHmac } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../src/config/index.ts';
import { canonicalProof, signProof } from '../src/features/identity-proof/identity-proof.ts';
import { createTestApp, type TestApp } from './support/app.ts';

const FIELDS = {
  auth_user_id: '3fa85f64-5717-4562-b3fc-2c963f66afa6',
  issued_at: 1700000000,
  verified: true as const,
};

describe('the signature', () => {
  test.each([
    ['user@example.com', 'demo', '46982582ed775959940675f5438999ccaf350adca740f72def4e26f5da88e6d4'],
    [
      'jos\u00e9@example.com',
      'd\u00e9mo',
      'bf775b116b13f9b7c1914cab744bb46813eadbbc33401a0264e03623df587d33',
    ],
  ])('of %s for %s is the published vector', (email, project_id, signature) => {
    expect(signProof('your-super-secret-key', { ...FIELDS, email, project_id })).toBe(signature);
  });

  test('escapes control characters, quotes and astral characters as the reference does', () => {
    const text = canonicalProof({ ...FIELDS, email: 'a"\\/\n\u0001@b.co', project_id: '\u{1f600}' });
    expect(text).toContain('"a\\"\\\\/\\n\\u0001@b.co"');
    expect(text).toContain('"\\ud83d\\ude00"');
    expect(JSON.parse(text)).toMatchObject({ project_id: '\u{1f600}', verified: true });
  });
});

describe('the service', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await createTestApp();
  });
  afterAll(() => app.close());
  const send = (email: unknown, project_id?: string) =>
    app.call('POST', '/api/v1/auth/send-code', { body: { email, ...(project_id ? { project_id } : {}) } });
  const verify = (email: string, code: string, extra = {}) =>
    app.call('POST', '/api/v1/auth/verify-code', { body: { email, code, ...extra } });

  test('a mailed code becomes a proof that a verifier with the key recomputes', async () => {
    expect(await send('Ann@Example.com', 'shop')).toMatchObject({
      status: 200,
      body: { message: expect.any(String) },
    });
    await app.relay.drain();
    const [mail] = await app.services.inbox!.list({ to: 'Ann@example.com' });
    expect(mail?.code).toBe('000000');
    const { status, body } = await verify('ann@example.com', mail!.code!, { project_id: 'shop' });
    expect(status).toBe(200);
    const { signature, ...signed } = body;
    const text = `{${Object.keys(signed)
      .sort()
      .map((k) => `"${k}": ${JSON.stringify(signed[k])}`)
      .join(', ')}}`;
    expect(signature).toBe(createHmac('sha256', app.secrets.secretKey).update(text).digest('hex'));
    expect(Object.keys(body).sort()).toEqual([
      'auth_user_id',
      'email',
      'issued_at',
      'project_id',
      'signature',
      'verified',
    ]);
  });

  test('one code proves once, and wrong, used, unknown and foreign-project codes are refused alike', async () => {
    await send('bob@example.com', 'one');
    expect((await verify('bob@example.com', '000000', { project_id: 'one' })).status).toBe(200);
    const refused = await Promise.all([
      verify('bob@example.com', '000000', { project_id: 'one' }),
      verify('bob@example.com', '000000', { project_id: 'two' }),
      verify('nobody@example.com', '123456'),
    ]);
    const shown = refused.map(({ status, body: { request_id: _id, ...body } }) => ({ status, body }));
    expect(shown[0]!.status).toBe(401);
    expect(shown[1]).toEqual(shown[0]);
    expect(shown[2]).toEqual(shown[0]);
  });

  test('five wrong codes end a code, so that the right one is refused too', async () => {
    await send('carol@example.com');
    for (let i = 0; i < 5; i++) expect((await verify('carol@example.com', '111111')).status).toBe(401);
    expect((await verify('carol@example.com', '000000')).status).toBe(401);
  });

  test('a project id cannot reach into another address or project', async () => {
    expect((await send('dan@example.com', 'a:b')).status).toBe(400);
    expect((await send(['a@b.co', 'c@d.co'])).status).toBe(400);
  });

  test('the JWS form verifies by JWKS alone, for its project only, and is no access token', async () => {
    await send('eve@example.com', 'shop');
    const { body } = await verify('eve@example.com', '000000', { project_id: 'shop', proof: 'jws' });
    const jwks = createLocalJWKSet((await app.call('GET', '/.well-known/jwks.json')).body);
    const options = { typ: 'identity-proof+jwt', issuer: app.services.config.jwt.issuer };
    const { payload } = await jwtVerify(body.identity_token, jwks, { ...options, audience: 'proof:shop' });
    expect(payload).toMatchObject({ email: 'eve@example.com', sub: body.auth_user_id });
    expect(payload.exp! - payload.iat!).toBe(300);
    await expect(
      jwtVerify(body.identity_token, jwks, { ...options, audience: 'proof:other' }),
    ).rejects.toThrow();
    expect((await app.call('GET', '/v1/users/me', { token: body.identity_token })).status).toBe(401);
  });

  test('a proof is for no audience that access tokens have, even for a project named like one', async () => {
    const { audience, issuer } = app.services.config.jwt;
    await send('mallory@example.com', audience);
    const { body } = await verify('mallory@example.com', '000000', { project_id: audience, proof: 'jws' });
    const jwks = createLocalJWKSet((await app.call('GET', '/.well-known/jwks.json')).body);
    // A service that looks at key, issuer and audience only.
    const careless = jwtVerify(body.identity_token, jwks, {
      issuer,
      audience: [audience, `${audience}:limited`],
    });
    await expect(careless).rejects.toThrow(/aud/);
    await expect(
      jwtVerify(body.identity_token, jwks, { issuer, audience: `proof:${audience}` }),
    ).resolves.toBeDefined();
  });

  test('no audience of access tokens may look like one of proofs', () => {
    expect(() => loadConfig({ JWT_AUDIENCE: 'proof:shop' })).toThrow(/^JWT_AUDIENCE: /);
  });

  test('codes to one address share their limits whatever project they are said to be for', async () => {
    const strict = await createTestApp({ env: { DEMO_MODE: 'false', MAIL_ADAPTER: 'local' } });
    try {
      const ask = (project_id: string, email = 'victim@example.com') =>
        strict.call('POST', '/api/v1/auth/send-code', { body: { email, project_id } });
      const statuses: number[] = [];
      for (let i = 0; i < 5; i++) statuses.push((await ask(`project-${i}`)).status);
      expect(statuses).toEqual([200, 429, 429, 429, 429]);
      for (let i = 0; i < 3; i++) {
        strict.clock.advance(61_000);
        statuses.push((await ask(`later-${i}`)).status);
      }
      expect(statuses.slice(5)).toEqual([200, 200, 429]);
      await strict.relay.drain();
      expect(await strict.services.inbox!.list({ to: 'victim@example.com' })).toHaveLength(3);
      expect((await ask('project-0', 'other@example.com')).status).toBe(200);
    } finally {
      await strict.close();
    }
  });

  test('ten codes a minute from one network, then 429 with Retry-After', async () => {
    const strict = await createTestApp({ env: { LIMIT_API_SEND_CODE_NETWORK: '10/1m' } });
    try {
      const answers = [];
      for (let i = 0; i < 11; i++) {
        answers.push(
          await strict.call('POST', '/api/v1/auth/send-code', { body: { email: `n${i}@example.com` } }),
        );
      }
      expect(answers.map((a) => a.status)).toEqual([...Array(10).fill(200), 429]);
      expect(answers[10]!.headers['retry-after']).toBeDefined();
    } finally {
      await strict.close();
    }
  });
});
