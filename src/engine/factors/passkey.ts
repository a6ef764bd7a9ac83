/**
 * Passkeys (WebAuthn Level 3): challenges, and what a signature over one is worth. A challenge is signed by this service
 * and stored nowhere; a use spends every challenge issued before it, so that one assertion opens one door.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import {
  type AuthenticationResponseJSON,
  type AuthenticatorTransport,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import type { NewFactor, StoredFactor } from '../../../db/factors.ts';
import { hmacSha256 } from '../../kernel/crypto/hmac.ts';
import { decodeBase64url, uuidBytes } from '../../kernel/crypto/opaque-id.ts';
import type { FactorKind, FactorVerdict } from './kind.ts';

/** EdDSA, ES256, RS256: what authenticators have. */
const ALGORITHMS = [-8, -7, -257];

export type RelyingParty = { rpId: string; rpName: string; origins: string[] };

/** What a challenge is for, and whose: an answer to one is none to another. */
export type ChallengeUse =
  | readonly ['register', factorId: string]
  | readonly ['login']
  | readonly ['login_step_up', flowId: string, version: string]
  | readonly ['step_up', sessionId: string];

/** What a right signature says. */
type Assertion = { counter: number; backupEligible: boolean; backedUp: boolean };

type Described = { id: string; transports?: AuthenticatorTransport[] };

const NONCE = 16;
const TIME = 6;
const CHALLENGE = NONCE + 32;

const backupEligible = ({ details }: Pick<StoredFactor, 'details'>): boolean =>
  details.backupEligible === true;

export const passkey: FactorKind = {
  kind: 'passkey',
  level: 'second',
  amr: (factor) => [backupEligible(factor) ? 'swk' : 'hwk'],
};

/** The handle of an account at its authenticators: its id, which says nothing about the person. */
const userHandleOf = (accountId: string): string => uuidBytes(accountId).toString('base64url');

/** The challenge inside of what the browser signed; proves nothing yet. */
function signedChallenge(clientDataJSON: string): string {
  const { challenge } = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString()) as {
    challenge?: unknown;
  };
  return typeof challenge === 'string' ? challenge : '';
}

export type Passkeys = ReturnType<typeof createPasskeys>;

export function createPasskeys({ key, rp, ttlMs }: { key: Buffer; rp: RelyingParty; ttlMs: number }) {
  const signed = (nonce: Buffer, use: ChallengeUse): Buffer =>
    hmacSha256(key, JSON.stringify([nonce.toString('base64url'), ...use]));

  const challenge = (use: ChallengeUse, now: number): Buffer<ArrayBuffer> => {
    const nonce = randomBytes(NONCE);
    nonce.writeUIntBE(now, 0, TIME);
    return Buffer.concat([nonce, signed(nonce, use)]);
  };

  /** When a challenge of ours was issued (milliseconds); null for another's, one for another use, and one that is over. */
  const issuedAt = (text: string, use: ChallengeUse, now: number): number | null => {
    const bytes = decodeBase64url(text, CHALLENGE);
    if (!bytes) return null;
    const nonce = bytes.subarray(0, NONCE);
    if (!timingSafeEqual(bytes.subarray(NONCE), signed(nonce, use))) return null;
    const issued = nonce.readUIntBE(0, TIME);
    return now < issued + ttlMs ? issued : null;
  };

  const described = (factors: readonly StoredFactor[]): Described[] =>
    factors
      .filter(({ kind, credentialId }) => kind === 'passkey' && credentialId !== null)
      .map(({ credentialId, details }) => ({
        id: credentialId ?? '',
        ...(Array.isArray(details.transports)
          ? { transports: details.transports as AuthenticatorTransport[] }
          : {}),
      }));

  /** Whether the signature is right; the counter and the state of the credential are judged on fresher rows. */
  async function assertion(factor: StoredFactor, response: AuthenticationResponseJSON) {
    const { verified, authenticationInfo: info } = await verifyAuthenticationResponse({
      response,
      expectedChallenge: signedChallenge(response.response.clientDataJSON),
      expectedOrigin: rp.origins,
      expectedRPID: rp.rpId,
      requireUserVerification: true,
      credential: {
        id: factor.credentialId ?? '',
        publicKey: new Uint8Array(Buffer.from(factor.publicKey ?? '', 'base64url')),
        // Zero: a regression is judged below, by what kind of credential it is.
        counter: 0,
      },
    });
    if (!verified) return null;
    return {
      counter: info.newCounter,
      backupEligible: info.credentialDeviceType === 'multiDevice',
      backedUp: info.credentialBackedUp,
    };
  }

  return {
    /** Every origin whose pages may use the passkeys of this relying party. */
    origins: rp.origins,

    registration: (
      of: { factorId: string; accountId: string; name: string; known: readonly StoredFactor[] },
      now: number,
    ) =>
      generateRegistrationOptions({
        rpID: rp.rpId,
        rpName: rp.rpName,
        userID: new Uint8Array(uuidBytes(of.accountId)),
        userName: of.name,
        challenge: new Uint8Array(challenge(['register', of.factorId], now)),
        timeout: ttlMs,
        attestationType: 'none',
        excludeCredentials: described(of.known),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        supportedAlgorithmIDs: ALGORITHMS,
      }),

    /** For a login by passkey without `known`: the authenticator finds the account. */
    authentication: (use: ChallengeUse, now: number, known: readonly StoredFactor[] = []) =>
      generateAuthenticationOptions({
        rpID: rp.rpId,
        challenge: new Uint8Array(challenge(use, now)),
        timeout: ttlMs,
        userVerification: 'required',
        ...(known.length > 0 ? { allowCredentials: described(known) } : {}),
      }),

    /** The key that was made for this very setup; null for anything else. */
    async registered(
      response: RegistrationResponseJSON,
      factorId: string,
      now: number,
    ): Promise<Omit<NewFactor, 'secretSealed'> | null> {
      try {
        const { verified, registrationInfo: info } = await verifyRegistrationResponse({
          response,
          expectedChallenge: (text) => issuedAt(text, ['register', factorId], now) !== null,
          expectedOrigin: rp.origins,
          expectedRPID: rp.rpId,
          requireUserVerification: true,
          supportedAlgorithmIDs: ALGORITHMS,
        });
        if (!verified || !info) return null;
        const { credential } = info;
        return {
          credentialId: credential.id,
          publicKey: Buffer.from(credential.publicKey).toString('base64url'),
          lastStep: credential.counter,
          details: {
            backupEligible: info.credentialDeviceType === 'multiDevice',
            backedUp: info.credentialBackedUp,
            aaguid: info.aaguid,
            transports: credential.transports ?? [],
          },
        };
      } catch {
        // The library throws at each check, and at bytes that do not decode.
        return null;
      }
    },

    /**
     * Judges one response on factors as they were read. The signature is checked once per key: a decision that is taken
     * again, under locks by then, only compares. Null when none of the factors is the one that answered.
     */
    judge(
      response: AuthenticationResponseJSON,
      use: ChallengeUse,
      now: number,
    ): (factors: readonly StoredFactor[]) => Promise<FactorVerdict | null> {
      const checked = new Map<string, Promise<Assertion | null>>();
      const check = (factor: StoredFactor): Promise<Assertion | null> => {
        const known = checked.get(factor.publicKey ?? '') ?? assertion(factor, response).catch(() => null);
        checked.set(factor.publicKey ?? '', known);
        return known;
      };
      return async (factors) => {
        const factor = factors.find(
          (f) => f.kind === 'passkey' && f.state === 'active' && f.credentialId === response.id,
        );
        if (!factor) return null;
        const no = { factor, use: null };
        const shown = await check(factor);
        if (!shown) return no;
        const issued = issuedAt(signedChallenge(response.response.clientDataJSON), use, now);
        if (issued === null || (factor.lastUsedAt !== null && factor.lastUsedAt >= issued)) return no;
        const { userHandle } = response.response;
        const named = userHandle !== undefined || use[0] === 'login';
        if (named && userHandle !== userHandleOf(factor.accountId)) return no;
        if (shown.backupEligible !== backupEligible(factor)) return no;
        const { counter, backedUp } = shown;
        const before = factor.lastStep ?? 0;
        const regressed = counter <= before && (counter > 0 || before > 0);
        const deviceBound = !shown.backupEligible;
        if (regressed && deviceBound) return no;
        return {
          factor,
          use: { factorId: factor.id, passkey: { issuedAt: issued, counter, deviceBound, backedUp } },
          ...(regressed ? { suspicious: true } : {}),
        };
      };
    },
  };
}
