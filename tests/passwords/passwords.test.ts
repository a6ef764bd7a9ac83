import { describe, expect, test } from 'vitest';
import { checkPassword, checkPin, type PasswordRules } from '../../src/kernel/passwords/policy.ts';

const codes = (password: string, rules: Partial<PasswordRules> = {}) =>
  checkPassword(password, { policy: 'default', context: [], ...rules }).map((error) => error.code);

describe('default policy', () => {
  test('accepts the documented demo password and other strong ones', () => {
    const context = ['ann@example.com', 'Ann Example', '+15555550100'];
    for (const password of ['StrongPassword@123', 'Tr4vel-Kettle', 'Ünïcödé 4 ever', 'kT9#mQ2$vX7!'])
      expect(codes(password, { context })).toEqual([]);
  });

  test.each([
    ['Sh0rt-pass!', 'password_too_short'],
    ['no-upper-4-me', 'password_missing_upper'],
    ['NO-LOWER-4-ME', 'password_missing_lower'],
    ['No-Digits-Here', 'password_missing_digit'],
    ['N0SpecialsHere', 'password_missing_special'],
  ])('%s: %s', (password, code) => {
    expect(codes(password)).toEqual([code]);
  });

  test('counts code points after composition, 12 to 128 of them', () => {
    expect(codes(`Aa1!${'😀'.repeat(8)}`)).toEqual([]);
    expect(codes(`Aa1!${'😀'.repeat(7)}`)).toEqual(['password_too_short']);
    expect(codes(`Aa1!${'e\u0301'.repeat(7)}`)).toEqual(['password_too_short']);
    expect(codes(`Aa1!${'xy'.repeat(62)}`)).toEqual([]);
    expect(codes(`Aa1!${'xy'.repeat(62)}z`)).toEqual(['password_too_long']);
    expect(codes(`Aa1!${'x'.repeat(2_000_000)}`)).toEqual(['password_too_long']);
    expect(codes('Sh0rt-pass!', { minLength: 10 })).toEqual([]);
  });

  test.each([
    ['e-mail address', 'Ann@Example.com-9X', 'ann@example.com'],
    ['local part', 'xX9!annabelle.lee', 'annabelle.lee@example.com'],
    ['local part before a tag', 'xX9!annabelle-x', 'annabelle+shop@example.com'],
    ['one of the names', 'Garden-OCONNOR-77', 'Sinéad OConnor'],
    ['name without spaces', 'Garden-jodoe-77X', 'Jo Doe'],
    ['phone digits', 'My#15555550100x', '+15555550100'],
    ['phone digits, spelled apart', 'My 555-555-0100!', '+1 555 555 0100'],
  ])('refuses a password with the %s in it', (_, password, known) => {
    expect(codes(password)).toEqual([]);
    expect(codes(password, { context: [known] })).toEqual(['password_contains_identity']);
  });

  test('ignores names too short to tell anything', () => {
    expect(codes('Tr4vel-Kettle', { context: ['El', '', ' ', 'ke@example.com'] })).toEqual([]);
    expect(codes('Garden-Ann-Lee-77', { context: ['Ann', 'Lee', 'ann@example.org', 'Kim'] })).toEqual([]);
    expect(codes('Garden-Anna-77xx', { context: ['Anna'] })).toEqual(['password_contains_identity']);
  });
});

describe('nist policy', () => {
  const nist = { policy: 'nist' } as const;

  test('asks for 15 code points of any kind and nothing else', () => {
    for (const password of [
      'correct horse battery',
      'ключ от квартиры',
      '😀😎🚀🌍🍕🎸📚🔑🌈⚡🍀🎲🧩🪁🛶',
      'a b c d e f g h',
    ])
      expect(codes(password, nist)).toEqual([]);
    expect(codes('fourteen chars', nist)).toEqual(['password_too_short']);
    expect(checkPassword('fourteen chars', { ...nist, context: [] })[0]!.message).toContain('15');
  });

  test('refuses a value that is nothing but an identifier, not one that mentions it', () => {
    const context = ['annabelle.lee@example.com', 'Annabelle Lee'];
    expect(codes('Annabelle.Lee@example.com', { ...nist, context })).toEqual(['password_contains_identity']);
    expect(codes('annabelle went sailing', { ...nist, context })).toEqual([]);
  });

  test.each([
    'passwordpassword',
    '123456789012345',
    'qwertyuiopasdfgh',
    'aaaaaaaaaaaaaaaa',
    'correcthorsebatterystaple',
  ])('refuses the common %s', (password) => {
    expect(codes(password, nist)).toEqual(['password_too_common']);
  });
});

describe('block list', () => {
  test('knows more than 3,000 common values that satisfy the default policy', () => {
    const words = [
      'Password',
      'Passw0rd',
      'P@ssword',
      'P@$$w0rd',
      'Welcome',
      'Iloveyou',
      'Sunshine',
      'Football',
    ];
    const bases = [...words, 'Michael', 'Princess', 'Baseball', 'Superman', 'Administrator', 'September'];
    const years = Array.from({ length: 41 }, (_, i) => String(1990 + i));
    const values = bases.flatMap((base) =>
      [...years, '123', '1234', '12345', '123456', '1234567890'].flatMap((number) =>
        ['!', '!!', '@', '#', '$'].flatMap((mark) => [`${base}${number}${mark}`, `${base}@${number}!`]),
      ),
    );
    const matching = [...new Set(values)].filter((value) => [...value].length >= 12);
    expect(matching.length).toBeGreaterThan(3000);
    for (const value of matching) expect(codes(value), value).toEqual(['password_too_common']);
  });

  test.each([
    '1qaz@WSX3edc',
    '!QAZ2wsx#EDC',
    'Qwerty123456!',
    '1234Password!',
    'Zaq1xsw2CDE#',
    'pAsSwOrD!2024',
  ])('sees through the disguise of %s', (password) => {
    expect(codes(password)).toContain('password_too_common');
  });

  test('compares whole values only', () => {
    expect(codes('Password-of-the-9-Kings')).toEqual([]);
  });
});

test('control characters that cannot be stored and broken text are refused', () => {
  for (const password of ['StrongPassword\0@123', 'StrongPassword@123\ud800', '\udc00StrongPassword@123'])
    expect(codes(password)).toEqual(['password_invalid_characters']);
});

test('no answer ever repeats what was typed, and each names its field', () => {
  const typed = ['hunter2', 'Ann@Example.com-9X', 'x'.repeat(2000), 'Password123!', 'bad\0text'];
  for (const password of typed) {
    const errors = checkPassword(password, {
      policy: 'default',
      context: ['ann@example.com'],
      pointer: '/new_password',
    });
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(error.pointer).toBe('/new_password');
      expect(JSON.stringify(error)).not.toContain(password);
    }
  }
  expect(JSON.stringify(checkPin('123456', {}))).not.toContain('123456');
});

describe('PIN', () => {
  const known = { birthDate: '1990-04-23', phone: '+15555550173' };
  const pinCodes = (pin: string) => checkPin(pin, known).map((error) => error.code);

  test('accepts 6 to 12 unremarkable digits', () => {
    for (const pin of ['739164', '8305917', '480261957304']) expect(pinCodes(pin)).toEqual([]);
  });

  test.each(['', '73916', '7391640275813', '73916a', '73 916', '７３９１６４', '739164\n', '-73916'])(
    'refuses %j as no PIN',
    (pin) => {
      expect(pinCodes(pin)).toEqual(['pin_invalid_format']);
    },
  );

  test.each([
    ...['000000', '777777777777', '121212', '123123', '112112', '12341234'],
    ...['123456', '654321', '890123', '0987654321', '246802', '159753', '112233', '147258', '101010'],
  ])('refuses the common %s', (pin) => {
    expect(pinCodes(pin)).toContain('pin_too_common');
  });

  test.each(['230490', '042390', '900423', '23041990', '04231990', '19900423', '5230490', '19902304'])(
    'refuses the date of birth as %s',
    (pin) => {
      expect(pinCodes(pin)).toEqual(['pin_contains_birth_date']);
    },
  );

  test.each(['550173', '5550173', '15555550173', '9550173'])('refuses the phone number in %s', (pin) => {
    expect(pinCodes(pin)).toContain('pin_contains_phone');
  });

  test('judges without birth date or phone as well', () => {
    expect(checkPin('230490', {})).toEqual([]);
    expect(checkPin('550173', { birthDate: null, phone: null })).toEqual([]);
  });
});
