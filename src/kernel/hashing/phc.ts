/** Reads what a stored password hash says about itself. It never touches a password and trusts no parameter blindly. */
import { randomBytes } from 'node:crypto';

/** RFC 9106 parameters; memory in KiB. */
export type HashParams = { memoryCost: number; timeCost: number; parallelism: number };

/** Argon2's secret: none, the pepper alone (all hashes made before they were bound), or one derived from pepper and account. */
export type KeyKind = 'none' | 'pepper' | 'account';

export type StoredHash =
  | { scheme: 'argon2id'; key: KeyKind; params: HashParams; saltBytes: number; tagBytes: number }
  | { scheme: 'bcrypt'; cost: number };

export const SALT_BYTES = 16;
export const TAG_BYTES = 32;

/**
 * Before an argon2 hash that another system made without our pepper, and before one that is bound to its account. No
 * scheme's own text begins like this.
 */
const UNKEYED = 'unkeyed';
const BOUND = 'bound';
const KEY_KINDS: Record<string, KeyKind> = { '': 'pepper', [UNKEYED]: 'none', [BOUND]: 'account' };

const ARGON2ID =
  /^(unkeyed|bound|)\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
const BCRYPT = /^\$2[aby]\$(\d{2})\$[./A-Za-z0-9]{53}$/;

/** The scheme of a stored hash; null when unknown, malformed or too costly to be worth one request. */
export function parseHash(phc: string): StoredHash | null {
  const bcrypt = BCRYPT.exec(phc);
  if (bcrypt) {
    const cost = Number(bcrypt[1]);
    return cost >= 4 && cost <= 15 ? { scheme: 'bcrypt', cost } : null;
  }
  const argon2 = ARGON2ID.exec(phc);
  if (!argon2) return null;
  const [memoryCost, timeCost, parallelism] = argon2.slice(2, 5).map(Number) as [number, number, number];
  // A quarter GiB and 16 passes: an imported row must not be able to stall the service.
  if (memoryCost > 262_144 || timeCost < 1 || timeCost > 16 || parallelism < 1 || parallelism > 16)
    return null;
  const [saltBytes, tagBytes] = [bytesIn(argon2[5]!), bytesIn(argon2[6]!)];
  if (memoryCost < 8 * parallelism || saltBytes === null || tagBytes === null) return null;
  return {
    scheme: 'argon2id',
    key: KEY_KINDS[argon2[1]!]!,
    params: { memoryCost, timeCost, parallelism },
    saltBytes,
    tagBytes,
  };
}

/** What to store of a hash made elsewhere: bcrypt as it is, argon2 marked; null when it cannot be verified here. */
export function foreignHash(phc: string): string | null {
  const stored = phc.startsWith('$') ? parseHash(phc) : null;
  if (!stored) return null;
  return stored.scheme === 'argon2id' ? UNKEYED + phc : phc;
}

/** What to store of an argon2 hash made with the key of its account. */
export const markBound = (phc: string): string => BOUND + phc;

/** The hash as its own scheme writes it. */
export const unmarked = (phc: string): string => phc.slice(phc.indexOf('$'));

/** A hash no password fits, as costly to verify as a real one: the tag is random, so nothing need be computed. */
export function dummyHash({ memoryCost, timeCost, parallelism }: HashParams): string {
  const part = (bytes: number) => randomBytes(bytes).toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${part(SALT_BYTES)}$${part(TAG_BYTES)}`;
}

/** How many bytes unpadded base64 stands for (RFC 4648); null when its last character carries bits of no byte. */
function bytesIn(base64: string): number | null {
  const rest = base64.length % 4;
  const canonical = rest === 0 || (rest === 2 ? /[AQgw]$/ : /[AEIMQUYcgkosw048]$/).test(base64);
  return rest !== 1 && canonical ? Math.floor((base64.length * 3) / 4) : null;
}

/** Whether the hash opens with its own account's secret only. */
export const isBound = (phc: string | null | undefined): boolean => phc?.startsWith(`${BOUND}$`) ?? false;
