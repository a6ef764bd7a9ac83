import { describe, expect, test } from 'vitest';
import { createTokens, type SigningAlgorithm } from '../../src/kernel/tokens/index.ts';
import { AUDIENCE, CLIENT, decode, GRANT, ISSUER, setUp, tokensWith } from './helpers.ts';

const invalid = { code: 'invalid_token', status: 401 };

describe('issuing', () => {
  test('a token says what RFC 9068 asks for and nothing about the person', async () => {
    const { tokens, manager, clock } = await setUp();
    const before = Math.floor(clock.now() / 1000);
    const { token, expiresIn } = await tokens.issueAccessToken(GRANT);
    const { header, payload } = decode(token);
    expect(header).toEqual({ alg: 'ES256', kid: manager.keys().signing.kid, typ: 'at+jwt' });
    const { iat, jti, ...rest } = payload as { iat: number; jti: string };
    expect(iat).toBeGreaterThanOrEqual(before);
    expect(jti).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(rest).toEqual({
      iss: ISSUER,
      sub: `user:${GRANT.accountId}`,
      aud: AUDIENCE,
      client_id: CLIENT,
      exp: iat + 900,
      nbf: iat,
      sid: GRANT.sessionId,
      acr: 'aal1',
      amr: ['pwd'],
      auth_time: 1_790_000_000,
      tier: 'FULL',
      scope: 'read trade',
      roles: ['user'],
      mfa: false,
      ver: 1,
    });
    expect(expiresIn).toBe(900);
  });

  test('a limited account gets the limited audience only', async () => {
    const { tokens } = await setUp();
    const { token } = await tokens.issueAccessToken({ ...GRANT, tier: 'LIMITED' });
    expect(decode(token).payload).toMatchObject({ aud: `${AUDIENCE}:limited`, tier: 'LIMITED' });
    expect((await tokens.verifyAccessToken(token)).tier).toBe('LIMITED');
  });

  test('every token has an id of its own', async () => {
    const { tokens } = await setUp();
    const issued = await Promise.all(Array.from({ length: 50 }, () => tokens.issueAccessToken(GRANT)));
    expect(new Set(issued.map(({ token }) => decode(token).payload.jti)).size).toBe(50);
  });

  test.each([0, 901, 1.5, Number.NaN])('a life of %s seconds is refused', async (accessTtlS) => {
    const { manager, clock } = await setUp();
    const options = { issuer: ISSUER, audience: AUDIENCE, clientId: CLIENT, keys: manager.keys, clock };
    expect(() => createTokens({ ...options, accessTtlS })).toThrow(RangeError);
  });
});

describe('verifying', () => {
  test.each<SigningAlgorithm>(['RS256', 'ES256', 'EdDSA'])('%s tokens come back as issued', async (alg) => {
    const { tokens } = await setUp({ alg });
    const { token } = await tokens.issueAccessToken(GRANT);
    const claims = await tokens.verifyAccessToken(token);
    expect(claims).toEqual(decode(token).payload);
  });

  test.each([
    ['exp', 929_000, 931_000],
    ['nbf', -29_000, -31_500],
  ])('%s is held to within 30 seconds, remembered or not', async (_, good, bad) => {
    const { tokens, manager, clock } = await setUp();
    const cold = tokensWith(manager, clock);
    const { token } = await tokens.issueAccessToken(GRANT);
    clock.advance(good);
    await expect(tokens.verifyAccessToken(token)).resolves.toMatchObject({ sid: GRANT.sessionId });
    clock.advance(bad - good);
    await expect(tokens.verifyAccessToken(token)).rejects.toMatchObject(invalid);
    await expect(cold.verifyAccessToken(token)).rejects.toMatchObject(invalid);
  });

  test('a token of another issuer, audience or client with the same key is refused', async () => {
    const { tokens, manager, clock } = await setUp();
    const own = { issuer: ISSUER, audience: AUDIENCE, clientId: CLIENT };
    for (const other of [
      { issuer: `${ISSUER}/` },
      { audience: `${AUDIENCE}:limited` },
      { audience: 'other' },
      { clientId: 'other' },
    ]) {
      const stranger = createTokens({ ...own, ...other, accessTtlS: 900, keys: manager.keys, clock });
      const { token } = await stranger.issueAccessToken(GRANT);
      await expect(stranger.verifyAccessToken(token)).resolves.toBeDefined();
      await expect(tokens.verifyAccessToken(token), JSON.stringify(other)).rejects.toMatchObject(invalid);
    }
  });
});

describe('remembering', () => {
  test('a token one byte off a remembered one is verified on its own and refused', async () => {
    const { tokens } = await setUp();
    const { token } = await tokens.issueAccessToken(GRANT);
    await tokens.verifyAccessToken(token);
    for (let at = 0; at < token.length; at++) {
      const twin = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      await expect(tokens.verifyAccessToken(twin), `byte ${at}`).rejects.toMatchObject(invalid);
    }
    await expect(tokens.verifyAccessToken(token)).resolves.toBeDefined();
  });

  test('every other spelling of the last signature byte is refused', async () => {
    const { tokens } = await setUp();
    const { token } = await tokens.issueAccessToken(GRANT);
    await tokens.verifyAccessToken(token);
    for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
      if (!token.endsWith(last))
        await expect(tokens.verifyAccessToken(token.slice(0, -1) + last)).rejects.toMatchObject(invalid);
  });

  test('a hit returns the very same frozen claims; the least used is forgotten at the limit', async () => {
    const { manager, clock } = await setUp();
    const tokens = tokensWith(manager, clock, 2);
    const [a, b, c] = await Promise.all(
      [1, 2, 3].map(async () => (await tokens.issueAccessToken(GRANT)).token),
    );
    const first = await tokens.verifyAccessToken(a!);
    const second = await tokens.verifyAccessToken(b!);
    expect(await tokens.verifyAccessToken(a!)).toBe(first);
    await tokens.verifyAccessToken(c!);
    expect(await tokens.verifyAccessToken(a!)).toBe(first);
    expect(await tokens.verifyAccessToken(b!)).not.toBe(second);
    expect(Object.isFrozen(first) && Object.isFrozen(first.roles)).toBe(true);
  });

  test('a withdrawn key takes its remembered tokens with it', async () => {
    const { tokens, manager } = await setUp();
    const { token } = await tokens.issueAccessToken(GRANT);
    await tokens.verifyAccessToken(token);
    await manager.withdraw(manager.keys().signing.kid);
    await expect(tokens.verifyAccessToken(token)).rejects.toMatchObject(invalid);
    const { token: fresh } = await tokens.issueAccessToken(GRANT);
    await expect(tokens.verifyAccessToken(fresh)).resolves.toBeDefined();
  });
});
