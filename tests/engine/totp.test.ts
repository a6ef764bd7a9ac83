/** Time-based codes against the published vectors, and what of them is accepted when. */
import { describe, expect, test } from 'vitest';
import { backupCodes, newBackupCodes } from '../../src/engine/factors/backup-codes.ts';
import { enrolment, matchingStep, newSecret, totp } from '../../src/engine/factors/totp.ts';
import { parseTypedCode } from '../../src/kernel/crypto/typed-code.ts';

/** `12345678901234567890` of RFC 4226 and RFC 6238, in base32. */
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

const stepOf = (code: string, seconds: number, lastStep: number | null = null, stepS = 30) =>
  matchingStep({ secret: SECRET, code, now: seconds * 1000, stepS, lastStep });

describe('RFC 6238 appendix B (SHA-1; the last six of its eight digits)', () => {
  test.each([
    [59, '94287082'],
    [1111111109, '07081804'],
    [1111111111, '14050471'],
    [1234567890, '89005924'],
    [2000000000, '69279037'],
    [20000000000, '65353130'],
  ])('at %i', async (seconds, digits) => {
    expect(await stepOf(digits.slice(2), seconds)).toBe(Math.floor(seconds / 30));
  });
});

describe('RFC 4226 appendix D', () => {
  test.each(
    ['755224', '287082', '359152', '969429', '338314', '254676', '287922', '162583', '399871', '520489'].map(
      (code, counter) => [counter, code] as const,
    ),
  )('counter %i', async (counter, code) => {
    expect(await stepOf(code, counter * 30)).toBe(counter);
  });
});

describe('a code', () => {
  const code = '005924'; // step 41152263
  const start = 41152263 * 30;

  test('holds for its step and the one after, not before and not later', async () => {
    for (const seconds of [start, start + 29, start + 30, start + 59])
      expect(await stepOf(code, seconds), String(seconds - start)).toBe(41152263);
    for (const seconds of [start - 30, start - 1, start + 60, start + 90])
      expect(await stepOf(code, seconds), String(seconds - start)).toBeNull();
  });

  test('of a used step, or of one before it, is refused, also when the clock went back', async () => {
    expect(await stepOf(code, start, 41152262)).toBe(41152263);
    for (const last of [41152263, 41152264, 41162264]) expect(await stepOf(code, start, last)).toBeNull();
  });

  test('of another step length belongs to the app that was set up with it', async () => {
    const uri = new URL(enrolment({ secret: SECRET, issuer: 'A', account: 'b', stepS: 60 }).uri);
    expect(uri.searchParams.get('period')).toBe('60');
    expect(await stepOf('287082', 60, null, 60)).toBe(1);
    expect(await stepOf('287082', 60, null, 30)).toBe(1);
    expect(await stepOf('287082', 119, null, 60)).toBe(1);
    expect(await stepOf('287082', 119, null, 30)).toBeNull();
  });
});

test('secrets have 160 bits and differ', () => {
  const secrets = Array.from({ length: 50 }, newSecret);
  for (const secret of secrets) expect(secret).toMatch(/^[A-Z2-7]{32}$/);
  expect(new Set(secrets).size).toBe(50);
});

test('what is typed is read whatever the script, blanks and case; nothing else is a code', () => {
  const read = (text: string) => parseTypedCode(text)?.text;
  for (const text of [
    '123456',
    ' 123 456 ',
    '１２３４５６',
    '١٢٣٤٥٦',
    '१२३४५६',
    '\u{1D7CF}\u{1D7D0}\u{1D7D1}\u{1D7D2}\u{1D7D3}\u{1D7D4}',
    '12\u00a034\u202f56',
  ])
    expect(read(text), text).toBe('123456');
  for (const text of ['abcd-2345', 'ABCD2345', ' abcd 2345']) expect(read(text), text).toBe('ABCD2345');
  for (const text of [
    '',
    '12345',
    '1234567',
    '12345a',
    '-123456',
    '1234.6',
    'ABCD-234',
    'ABCD-23451',
    'ABCD-0O1I',
    '½23456',
    `${' '.repeat(60)}123456`,
  ])
    expect(read(text), text).toBeUndefined();
});

test('backup codes are stored as keyed hashes of their account', async () => {
  const [key, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const { shown, hashes } = newBackupCodes(key, 'account');
  const stored = {
    id: 'f',
    accountId: 'account',
    kind: 'backup_codes',
    state: 'active' as const,
    label: null,
    secretSealed: null,
    publicKey: null,
    credentialId: null,
    contactId: null,
    lastStep: null,
    lastUsedAt: null,
    codes: hashes,
    details: {},
    failures: 0,
  };
  const typed = (shown[2] ?? '').replace('-', '');
  const check = (of: Buffer, factor = stored) =>
    backupCodes(of).check?.(factor, typed, 0, async () => '') as Promise<unknown>;
  expect(await check(key)).toEqual({ factorId: 'f', codeHash: hashes[2] });
  expect(await check(other)).toBeNull();
  expect(await check(key, { ...stored, accountId: 'somebody-else' })).toBeNull();
  expect(JSON.stringify(hashes)).not.toContain(typed);
  expect(totp.usable?.(stored) ?? true).toBe(true);
  expect(backupCodes(key).usable?.({ ...stored, codes: [] })).toBe(false);
});
