/** Invariants of the two identifiers over generated input, and the spellings attackers are known to try. */
import { describe, expect, test } from 'vitest';
import {
  asciiDigits,
  emailInput,
  isReservedPhone,
  maskEmail,
  maskPhone,
  parseEmail,
  parsePhone,
  phoneInput,
} from '../src/kernel/identifiers/index.ts';
import { Problem } from '../src/kernel/problems.ts';
import { cpuMs } from './support/cpu.ts';

/** mulberry32: the same strings on every run. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const next = random(20_251_120);
const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!;
const text = (alphabet: readonly string[], length: number) =>
  Array.from({ length }, () => pick(alphabet)).join('');

const demo = { defaultCountry: 'IN', demo: true } as const;
const real = { defaultCountry: 'IN', demo: false } as const;

function refusal(parse: () => unknown): Problem | null {
  try {
    parse();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(Problem);
    return error as Problem;
  }
}

const refusesPhone = (input: string, options: Parameters<typeof parsePhone>[1] = demo) => {
  const problem = refusal(() => parsePhone(input, options));
  expect(problem, input).not.toBeNull();
  expect(problem!.code).toBe('validation_failed');
  expect(problem!.extras.errors![0]!.pointer).toBe('/body/phone');
};

describe('phone', () => {
  test.each([
    ['+15555555555', '+15555555555', 'US', '15555555'],
    ['+1 (212) 555-0123', '+12125550123', 'US', '12125550'],
    ['+91 98765 43210', '+919876543210', 'IN', '91987654'],
    ['9876543210', '+919876543210', 'IN', '91987654'],
    ['98765-43210', '+919876543210', 'IN', '91987654'],
    ['+49.1511.2345678', '+4915112345678', 'DE', '49151123'],
    ['+44 20 7946 0958', '+442079460958', 'GB', '44207946'],
  ])('%s is %s', (input, e164, country, range) => {
    expect(parsePhone(input, demo)).toEqual({ e164, country, range });
  });

  test('ten digits belong to the configured country', () => {
    expect(parsePhone('2025550199', { defaultCountry: 'US', demo: true }).e164).toBe('+12025550199');
    expect(parsePhone('6502530000', { defaultCountry: 'US', demo: false }).e164).toBe('+16502530000');
    expect(parsePhone('06 12 34 56 78', { defaultCountry: 'FR', demo: false }).e164).toBe('+33612345678');
    expect(parsePhone('06 9876 5432', { defaultCountry: 'IT', demo: false }).e164).toBe('+390698765432');
    refusesPhone('0049970541', real);
  });

  test.each([
    ['a tab', '+1\t5555555555'],
    ['a line break', '+15555555555\n'],
    ['a no-break space', '+1\u00a0555\u00a05555555'],
    ['a narrow no-break space', '+1\u202f5555555555'],
    ['an ideographic space', '+1\u30005555555555'],
    ['a zero-width space', '+1\u200b5555555555'],
    ['a byte order mark', '\ufeff+15555555555'],
    ['embedding marks, as contact apps copy them', '\u202a+15555555555\u202c'],
    ['isolate marks', '\u2066+15555555555\u2069'],
    ['left-to-right and right-to-left marks', '\u200e+15555555555\u200f'],
    ['an Arabic letter mark', '\u061c+15555555555'],
    ['a hyphen', '+1\u2010555\u20105555555'],
    ['a non-breaking hyphen', '+1\u2011555\u20115555555'],
    ['an en dash', '+1–5555555555'],
    ['an em dash', '+1—5555555555'],
    ['a minus sign', '+1\u22125555555555'],
    ['a full-width hyphen', '+1\uff0d5555555555'],
  ])('%s says nothing', (_name, input) => {
    expect(parsePhone(input, demo).e164).toBe('+15555555555');
  });

  /** Mobile numbers as people write them at home. */
  test.each([
    ['IN', '098765 43210', '+919876543210'],
    ['US', '1 (650) 253-0000', '+16502530000'],
    ['GB', '07400 123456', '+447400123456'],
    ['DE', '0151 12345678', '+4915112345678'],
    ['FR', '06 12 34 56 78', '+33612345678'],
    ['IT', '312 345 6789', '+393123456789'],
    ['ES', '612 34 56 78', '+34612345678'],
    ['NL', '06-12345678', '+31612345678'],
    ['BE', '0470 12 34 56', '+32470123456'],
    ['CH', '078 123 45 67', '+41781234567'],
    ['AT', '0664 123456', '+43664123456'],
    ['SE', '070-123 45 67', '+46701234567'],
    ['NO', '406 12 345', '+4740612345'],
    ['DK', '32 12 34 56', '+4532123456'],
    ['PL', '512 345 678', '+48512345678'],
    ['PT', '912 345 678', '+351912345678'],
    ['RU', '8 (912) 345-67-89', '+79123456789'],
    ['UA', '050 123 4567', '+380501234567'],
    ['TR', '0501 234 56 78', '+905012345678'],
    ['BR', '(11) 96123-4567', '+5511961234567'],
    ['MX', '222 123 4567', '+522221234567'],
    ['AR', '011 15-2345-6789', '+5491123456789'],
    ['JP', '090-1234-5678', '+819012345678'],
    ['CN', '131 2345 6789', '+8613123456789'],
    ['KR', '010-2000-0000', '+821020000000'],
    ['AU', '0412 345 678', '+61412345678'],
    ['ZA', '071 123 4567', '+27711234567'],
    ['NG', '0802 123 4567', '+2348021234567'],
    ['EG', '0100 123 4567', '+201001234567'],
    ['KE', '0712 123456', '+254712123456'],
    ['SA', '051 234 5678', '+966512345678'],
    ['AE', '050 123 4567', '+971501234567'],
    ['IL', '050-234-5678', '+972502345678'],
    ['ID', '0812-345-678', '+62812345678'],
    ['PH', '0905 123 4567', '+639051234567'],
    ['VN', '091 234 56 78', '+84912345678'],
    ['TH', '081 234 5678', '+66812345678'],
    ['SG', '8123 4567', '+6581234567'],
  ] as const)('in %s, %s is %s, and so is its international form', (defaultCountry, national, e164) => {
    expect(parsePhone(national, { defaultCountry, demo: false }).e164).toBe(e164);
    expect(parsePhone(e164, { defaultCountry: 'IN', demo: false }).e164).toBe(e164);
  });

  const fieldOf = (input: string, defaultCountry: 'DE' | 'BR' | 'BJ' | 'CI' | 'IN') =>
    refusal(() => parsePhone(input, { defaultCountry, demo: false }))?.extras.errors?.[0];

  test('a national number that may be two is not guessed', () => {
    for (const reading of ['+4915112345678', '+494915112345678'])
      expect(parsePhone(reading, { defaultCountry: 'DE', demo: false }).e164).toBe(reading);
    expect(fieldOf('4915112345678', 'DE')).toMatchObject({
      code: 'ambiguous',
      message: expect.stringContaining('with + and the country code'),
    });
  });

  test.each([
    ['BR', '11 6123-4567', /\+55, the area code, 9/],
    ['BR', '011 6123-4567', /\+55, the area code, 9/],
    ['IN', '+55 11 6123-4567', /\+55, the area code, 9/],
    ['BJ', '90 01 12 34', /\+229, 01/],
    ['CI', '07 12 34 56', /\+225, then 01, 05 or 07/],
  ] as const)(
    'in %s, %s only lacks a modern prefix, and is told how to write it',
    (country, input, advice) => {
      expect(fieldOf(input, country)).toMatchObject({
        code: 'prefix_missing',
        message: expect.stringMatching(advice),
      });
    },
  );

  test.each([
    ['full-width digits', '+１５５５５５５５５５５'],
    ['Arabic-Indic digits', '+١٥٥٥٥٥٥٥٥٥٥'],
    ['full-width plus', '＋15555555555'],
    ['extension', '+15555555555x12'],
    ['RFC 3966 extension', '+15555555555;ext=12'],
    ['RFC 3966 address', 'tel:+15555555555'],
    ['vanity letters', '+1800FLOWERS'],
    ['leading 00', '0015555555555'],
    ['country without plus', '15555555555'],
    ['two plus signs', '++15555555555'],
    ['plus in the middle', '1+5555555555'],
    ['U+0000', '+15555555555\0'],
    ['slash', '+1/5555555555'],
    ['two numbers', '+15555555555,+15555555556'],
    ['empty', ''],
    ['plus only', '+'],
    ['country code zero', '+05555555555'],
    ['sixteen digits', '+1555555555555555'],
    ['six digits', '+155555'],
    ['national prefix after the country', '+4402079460958'],
    ['trunk prefix before a reserved number', '+115555555555'],
    ['unassigned', '+19995550000'],
    ['unknown country', '+9995550000000'],
  ])('refuses %s', (_name, input) => refusesPhone(input));

  test.each([
    ['premium rate', '+19002345678'],
    ['toll free', '+18002345678'],
    ['shared cost', '+448431234567'],
    ['personal number', '+447012345678'],
    ['universal access', '+4932123456'.padEnd(13, '7')],
    ['pager', '+447640123456'],
  ])('refuses %s numbers', (_name, input) => refusesPhone(input));

  test('numbers reserved for fiction exist only in demo mode', () => {
    for (const number of ['+15555555555', '+15555550000', '+12125550123', '+19175550199']) {
      expect(isReservedPhone(number)).toBe(true);
      expect(parsePhone(number, demo).e164).toBe(number);
      refusesPhone(number, real);
      refusesPhone(number.slice(2), { defaultCountry: 'US', demo: false });
    }
    for (const number of [
      '+12125550223',
      '+12125551123',
      '+15555565555',
      '+915555555555',
      '+155555555555',
      '+11125550123',
    ]) {
      expect(isReservedPhone(number)).toBe(false);
    }
  });

  test('100,000 generated strings: what is accepted is canonical, and its canonical form is a fixed point', () => {
    const alphabet = [
      ...'0123456789012345678901234567890123456789+ -().x,;/#*aA\t\n\0',
      '１',
      '٣',
      '＋',
      '\u00a0',
      '\ud800',
      '–',
    ];
    const prefixes = ['+1', '+44', '+91', '+49', '+1555555', '+1212555', '98', '', '', '00', '+'];
    let accepted = 0;
    for (let i = 0; i < 100_000; i++) {
      const digits = next() < 0.5 ? [...'0123456789'] : alphabet;
      const input = pick(prefixes) + text(digits, Math.floor(next() * 14));
      let phone: ReturnType<typeof parsePhone>;
      try {
        phone = parsePhone(input, demo);
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'validation_failed') throw error;
        continue;
      }
      accepted++;
      const compact = input.replace(/[\s.()\-–]/g, '');
      const same = compact.startsWith('+')
        ? phone.e164 === compact
        : [`+91${compact}`, `+91${compact.replace(/^0/, '')}`, `+${compact}`].includes(phone.e164);
      const fixed = parsePhone(phone.e164, demo).e164 === phone.e164;
      const shape = /^\+[1-9][0-9]{6,14}$/.test(phone.e164) && phone.e164.slice(1).startsWith(phone.range);
      if (!same || !fixed || !shape) expect.fail(`${JSON.stringify(input)} became ${JSON.stringify(phone)}`);
    }
    expect(accepted).toBeGreaterThan(2000);
  });

  test.each(['1', '+', ' ', '(', '+1 ', '5-'])('15 KiB of %j are refused in under 20 ms', (unit) => {
    const input = unit.repeat(15_360 / unit.length);
    expect(cpuMs(() => refusesPhone(input))).toBeLessThan(20);
    expect(phoneInput.safeParse(input).success).toBe(false);
  });

  test('masking keeps the country code and four digits', () => {
    expect(maskPhone('+15555555555')).toBe('+1*****5555');
    expect(maskPhone('+919876543210')).toBe('+91*****3210');
    expect(maskPhone('+442079460958')).toBe('+44*****0958');
  });
});

describe('e-mail', () => {
  test.each([
    ['Jane.Doe@Example.COM', 'jane.doe@example.com', 'Jane.Doe@example.com'],
    [' jane@example.com', 'jane@example.com', 'jane@example.com'],
    ['\u00a0\tjane@example.com\r\n', 'jane@example.com', 'jane@example.com'],
    ['a+tag@example.co.uk', 'a+tag@example.co.uk', 'a+tag@example.co.uk'],
    ["o'hara@example.com", "o'hara@example.com", "o'hara@example.com"],
    ['a=b?c@example.com', 'a=b?c@example.com', 'a=b?c@example.com'],
    ['x@bücher.example', 'x@xn--bcher-kva.example', 'x@xn--bcher-kva.example'],
    ['x@BÜCHER.example', 'x@xn--bcher-kva.example', 'x@xn--bcher-kva.example'],
    ['x@xn--bcher-kva.example', 'x@xn--bcher-kva.example', 'x@xn--bcher-kva.example'],
    ['x@bu\u0308cher.example', 'x@xn--bcher-kva.example', 'x@xn--bcher-kva.example'],
  ])('%s is %s', (input, canonical, original) => {
    expect(parseEmail(input)).toEqual({ canonical, original });
  });

  const long = 'a'.repeat(64);
  test.each([
    ['no @', 'example.com'],
    ['two @', 'a@b@example.com'],
    ['full-width @', 'a＠example.com'],
    ['full-width @ beside an ASCII one', 'a＠evil.example@example.com'],
    ['small @', 'a﹫evil.example@example.com'],
    ['Unicode local part', 'jané@example.com'],
    ['dotless i', 'mıke@example.org'],
    ['Kelvin sign', '\u212aate@example.com'],
    ['long s', 'ſam@example.com'],
    ['quotes', '"a b"@example.com'],
    ['encoded word', '=?utf-8?q?admin=40bank.example=3E?=@example.com'],
    ['encoded word in Base64', '=?UTF-8?B?YWRtaW5AYmFuay5leGFtcGxl?=@example.com'],
    ['encoded word within a local part', 'a.=?us-ascii*en?Q?b?=.c@example.com'],
    ['encoded word without its end', '=?utf-8?q?a@example.com'],
    ['quoted route', '"a@evil.example"@example.com'],
    ['comment', 'a(comment)@example.com'],
    ['comma list', 'a@example.com,b@evil.example'],
    ['semicolon list', 'a@example.com;b@evil.example'],
    ['display name', 'Jane <jane@example.com>'],
    ['nested group', 'g:a@example.com;'],
    ['header injection', 'a@example.com\r\nBcc: b@evil.example'],
    ['log injection', 'a@b.example\r\n{"level":"info","msg":"login ok"}'],
    ['U+0000', 'a\0@example.com'],
    ['U+0000 in the domain', 'a@example.com\0.evil.example'],
    ['space in the middle', 'a @example.com'],
    ['line break in the middle', 'a@example\n.com'],
    ['bidi override', 'a\u202e@example.com'],
    ['bidi override in the domain', 'a@exam\u202eple.com'],
    ['zero-width joiner', 'a@exam\u200dple.com'],
    ['lone surrogate', 'a@exam\ud800ple.com'],
    ['leading dot', '.a@example.com'],
    ['trailing dot in the local part', 'a.@example.com'],
    ['double dot', 'a..b@example.com'],
    ['empty local part', '@example.com'],
    ['empty domain', 'a@'],
    ['single label', 'a@localhost'],
    ['trailing dot in the domain', 'a@example.com.'],
    ['empty label', 'a@example..com'],
    ['leading hyphen', 'a@-example.com'],
    ['trailing hyphen', 'a@example-.com'],
    ['IPv4 address', 'a@127.0.0.1'],
    ['IPv4 in one number', 'a@2130706433'],
    ['IPv4 in hexadecimal', 'a@0x7f.1'],
    ['address literal', 'a@[127.0.0.1]'],
    ['percent encoding', 'a@ex%61mple.com'],
    ['port', 'a@example.com:25'],
    ['ideographic full stop', 'a@example。com'],
    ['full-width full stop', 'a@example．com'],
    ['invalid A-label', 'a@xn--a.com\u00ad'],
    ['local part of 65', `${long}a@example.com`],
    ['label of 64', `a@${long}.com`],
    ['total of 255', `${long}@${`${'d'.repeat(60)}.`.repeat(3)}example`],
  ])('refuses %s', (_name, input) => {
    const problem = refusal(() => parseEmail(input));
    expect(problem, input).not.toBeNull();
    expect(problem!.code).toBe('validation_failed');
    expect(problem!.extras.errors![0]!.pointer).toBe('/body/email');
    if (input.length > 12) expect(JSON.stringify(problem!.extras)).not.toContain(input);
  });

  test('all spellings of one mailbox have one key', () => {
    const spellings = ['Jane@Example.com', 'JANE@EXAMPLE.COM', 'jane@ｅxample.com', 'jane@example.COM'];
    expect(new Set(spellings.map((spelling) => parseEmail(spelling).canonical))).toEqual(
      new Set(['jane@example.com']),
    );
  });

  test('100,000 generated strings: what is accepted is ASCII, has one @ in every form, and is a fixed point', () => {
    const common = [...'abcxyzABC019.-_+@'];
    const odd = [
      ...'"(),:;<>[]\\ \t\r\n\0%\'',
      '＠',
      '﹫',
      'ü',
      'ı',
      'K',
      '。',
      '\u202e',
      '\u200d',
      '\ud83d',
      'ß',
      '⒈',
      '㏂',
      '①',
      'ﬁ',
    ];
    let accepted = 0;
    for (let i = 0; i < 100_000; i++) {
      const alphabet = next() < 0.6 ? common : [...common, ...odd];
      const part = () => text(alphabet, 1 + Math.floor(next() * 8));
      const input =
        next() < 0.7 ? `${part()}@${part()}.${pick(['com', 'example', 'рф', 'x', part()])}` : part() + part();
      let email: ReturnType<typeof parseEmail>;
      try {
        email = parseEmail(input);
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'validation_failed') throw error;
        continue;
      }
      accepted++;
      const { canonical, original } = email;
      const one = (value: string) => value.split('@').length === 2;
      const [local, domain] = canonical.split('@') as [string, string];
      const holds =
        /^[\x21-\x7e]+$/.test(canonical) &&
        !/["(),:;<>[\]\\]/.test(canonical) &&
        one(input) &&
        one(input.normalize('NFKC')) &&
        canonical === canonical.toLowerCase() &&
        original.toLowerCase() === canonical &&
        canonical.length <= 254 &&
        local.length <= 64 &&
        /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*$/.test(domain) &&
        parseEmail(canonical).canonical === canonical &&
        parseEmail(original).canonical === canonical;
      if (!holds) expect.fail(`${JSON.stringify(input)} became ${JSON.stringify(email)}`);
    }
    expect(accepted).toBeGreaterThan(5000);
  });

  test.each(['a', 'a.', 'a@', '@', 'é', '"', '\u0300', 'a@a.'])(
    '15 KiB of %j are refused in under 20 ms',
    (unit) => {
      const input = `a@${unit.repeat(15_360 / unit.length)}`;
      const refuse = () => expect(refusal(() => parseEmail(input))?.code).toBe('validation_failed');
      expect(cpuMs(refuse)).toBeLessThan(20);
      expect(emailInput.safeParse(input).success).toBe(false);
    },
  );

  test('masking keeps one letter and the domain', () => {
    expect(maskEmail('jane@example.com')).toBe('j***@example.com');
    expect(maskEmail('j@example.com')).toBe('j***@example.com');
  });
});

describe('digits', () => {
  test('of every numbering system the platform knows are read', () => {
    let systems = 0;
    for (const system of Intl.supportedValuesOf('numberingSystem')) {
      const format = new Intl.NumberFormat('en', { numberingSystem: system, useGrouping: false });
      const digits = Array.from({ length: 10 }, (_, i) => format.format(i));
      if (!digits.every((digit) => /^\p{Nd}$/u.test(digit))) continue;
      expect([system, digits.map(asciiDigits).join('')]).toEqual([system, '0123456789']);
      systems++;
    }
    expect(systems).toBeGreaterThan(50);
  });
});
