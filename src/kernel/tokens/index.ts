/** The one door to access tokens and their keys. */
export { type AccessGrant, createTokens, type Tokens, type TokensOptions } from './access-tokens.ts';
export { type ActiveKeys, JWKS_MAX_AGE_S, jwks, type PublicJwks } from './active-keys.ts';
export { audienceFor, type Claims, TIERS, type Tier } from './claims.ts';
export {
  createKeyManager,
  KEY_REFRESH_S,
  type KeyManager,
  type KeyManagerOptions,
  type KeyStore,
  type StoredKey,
} from './key-manager.ts';
export {
  generateSigningKey,
  importSigningKey,
  type KeyPair,
  type KeyStatus,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from './signing-keys.ts';
