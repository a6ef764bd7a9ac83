/**
 * "This address was proven to us": a signed statement other services verify by themselves. The HMAC form is byte for
 * byte the documented one, so verifiers already written go on working; whoever can verify it can also make it, which is
 * why there is an asymmetric form too.
 */
import { createHmac } from 'node:crypto';
import { SignJWT } from 'jose';
import { uuidv7 } from '../../kernel/crypto/uuid7.ts';
import type { ActiveKeys } from '../../kernel/tokens/index.ts';

export type ProofFields = {
  auth_user_id: string;
  email: string;
  /** Seconds since the epoch. */
  issued_at: number;
  project_id: string;
  verified: true;
};

const SHORT: Record<string, string> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
};

/** A JSON string in which everything outside printable ASCII is escaped, UTF-16 unit by unit, in lower case. */
const asciiString = (text: string): string => {
  const escaped = Array.from({ length: text.length }, (_, i) => {
    const unit = text.charAt(i);
    if (SHORT[unit]) return SHORT[unit];
    const code = text.charCodeAt(i);
    return code >= 0x20 && code <= 0x7e ? unit : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${escaped.join('')}"`;
};

/** The signed text: keys in alphabetical order, one space after each comma and colon. */
export const canonicalProof = (proof: ProofFields): string =>
  `{"auth_user_id": ${asciiString(proof.auth_user_id)}, "email": ${asciiString(proof.email)}, "issued_at": ${proof.issued_at}, "project_id": ${asciiString(proof.project_id)}, "verified": true}`;

/** Lower-case hex HMAC-SHA-256 under the shared key, which is used as UTF-8. */
export const signProof = (key: string, proof: ProofFields): string =>
  createHmac('sha256', key).update(canonicalProof(proof)).digest('hex');

/** Seconds a proof in the JWS form may be accepted. */
export const PROOF_TTL_S = 300;

/** What stands before the project: `:` is no letter of a project, so no project can name an audience of access tokens. */
export const PROOF_AUDIENCE_PREFIX = 'proof:';

/** The JWS form (RFC 7515): own `typ`, audience, expiry and id, so that it is no access token and no one else's. */
export const proofToken = (keys: ActiveKeys, issuer: string, proof: ProofFields): Promise<string> =>
  new SignJWT({
    iss: issuer,
    sub: proof.auth_user_id,
    aud: `${PROOF_AUDIENCE_PREFIX}${proof.project_id}`,
    iat: proof.issued_at,
    exp: proof.issued_at + PROOF_TTL_S,
    jti: uuidv7(),
    email: proof.email,
    email_verified: true,
  })
    .setProtectedHeader({ alg: keys.signing.alg, kid: keys.signing.kid, typ: 'identity-proof+jwt' })
    .sign(keys.signing.privateKey);
