/** An authenticator in software (WebAuthn Level 3, ES256, no attestation): answers options as a browser would. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

type Options = {
  challenge: string;
  rpId?: string;
  rp?: { id: string };
  user?: { id: string };
};

export type Twist = {
  origin?: string;
  challenge?: string;
  rpId?: string;
  userHandle?: string;
  /** Bits of the authenticator data; by default user present and verified. */
  flags?: number;
  counter?: number;
};

const UP_UV = 0x05;
const BACKUP_ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const ATTESTED = 0x40;

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
const u16 = (n: number) => Buffer.from([n >> 8, n & 255]);
const u32 = (n: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};
/** CBOR byte string of up to 65535 bytes. */
const byteString = (bytes: Buffer) =>
  bytes.length < 256
    ? Buffer.concat([Buffer.from([0x58, bytes.length]), bytes])
    : Buffer.concat([Buffer.from([0x59]), u16(bytes.length), bytes]);

function coseKey(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
  return Buffer.concat([
    Buffer.from([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]),
    byteString(Buffer.from(x, 'base64url')),
    Buffer.from([0x22]),
    byteString(Buffer.from(y, 'base64url')),
  ]);
}

export type Authenticator = ReturnType<typeof createAuthenticator>;

/** `synced`: a passkey that its provider backs up, whose counter stays 0. */
export function createAuthenticator(origin: string, { synced = false }: { synced?: boolean } = {}) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = randomBytes(32);
  const name = id.toString('base64url');
  let counter = 0;
  let userHandle = '';
  const base = UP_UV | (synced ? BACKUP_ELIGIBLE | BACKED_UP : 0);

  const clientData = (type: string, options: Options, twist: Twist) =>
    Buffer.from(
      JSON.stringify({
        type,
        challenge: twist.challenge ?? options.challenge,
        origin: twist.origin ?? origin,
        crossOrigin: false,
      }),
    );
  const head = (options: Options, twist: Twist, more = 0) => {
    if (!synced) counter += 1;
    return Buffer.concat([
      sha256(twist.rpId ?? options.rpId ?? options.rp?.id ?? ''),
      Buffer.from([(twist.flags ?? base) | more]),
      u32(twist.counter ?? counter),
    ]);
  };
  const envelope = { id: name, rawId: name, type: 'public-key', clientExtensionResults: {} };

  return {
    id: name,
    create(options: Options, twist: Twist = {}) {
      userHandle = options.user?.id ?? '';
      const authData = Buffer.concat([
        head(options, twist, ATTESTED),
        Buffer.alloc(16),
        u16(id.length),
        id,
        coseKey(publicKey),
      ]);
      const attestationObject = Buffer.concat([
        Buffer.from('a363666d74646e6f6e656761747453746d74a0686175746844617461', 'hex'),
        byteString(authData),
      ]);
      return {
        ...envelope,
        response: {
          clientDataJSON: clientData('webauthn.create', options, twist).toString('base64url'),
          attestationObject: attestationObject.toString('base64url'),
          transports: ['internal'],
        },
      };
    },
    get(options: Options, twist: Twist = {}) {
      const client = clientData('webauthn.get', options, twist);
      const authData = head(options, twist);
      const signature = sign('sha256', Buffer.concat([authData, sha256(client)]), privateKey);
      return {
        ...envelope,
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: authData.toString('base64url'),
          signature: signature.toString('base64url'),
          userHandle: twist.userHandle ?? userHandle,
        },
      };
    },
  };
}
