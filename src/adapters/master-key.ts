/** Refuses master keys that were not drawn at random: short, constant, counting, repeating or spelt-out ones. */

const KEY_BYTES = 32;
const SAMPLE_WORDS = /change|example|sample|secret|password|master|default|test|demo|insecure|vestibule/i;

/** @throws Error naming the key's id, never its bytes. */
export function requireMasterKey(id: string, key: Buffer): void {
  if (key.length !== KEY_BYTES) throw new Error(`The master key ${id} must have ${KEY_BYTES} bytes`);
  if (isSample(key)) throw new Error(`The master key ${id} is a sample: draw ${KEY_BYTES} random bytes`);
}

/** Of random 32-byte keys fewer than one in 2^60 looks like this. */
function isSample(key: Buffer): boolean {
  const repeats = [1, 2, 4, 8, 16].some((period) => key.every((byte, i) => byte === key[i % period]));
  const step = (key[1] ?? 0) - (key[0] ?? 0);
  const counts = key.every((byte, i) => i === 0 || byte === (((key[i - 1] ?? 0) + step) & 0xff));
  const printable = key.every((byte) => byte >= 0x20 && byte < 0x7f);
  return (
    repeats || counts || new Set(key).size < 8 || (printable && SAMPLE_WORDS.test(key.toString('latin1')))
  );
}
