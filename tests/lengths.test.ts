/** The longest value each field takes, and the same with one character more: a limit that moves by one shows here. */
import { describe, expect, test } from 'vitest';
import { ZodType } from 'zod';
import { capitalsSchema } from '../machines/code.ts';
import { riskAnswerSchema } from '../src/adapters/risk-http.ts';
import { loadConfig } from '../src/config/index.ts';
import * as account from '../src/features/account/contract.ts';
import * as hub from '../src/features/balance-hub/contract.ts';
import * as definitions from '../src/features/flows/definitions-contract.ts';
import * as proof from '../src/features/identity-proof/contract.ts';
import * as password from '../src/features/login/password-contract.ts';
import { renderLetter } from '../src/features/notices/layout/letter.ts';
import { loadTexts } from '../src/features/notices/texts/catalogue.ts';
import * as recovery from '../src/features/recovery/contract.ts';
import * as sessions from '../src/features/sessions/contract.ts';
import * as signup from '../src/features/signup/contract.ts';
import * as registration from '../src/features/signup/registration-contract.ts';
import { localeInput, timezoneInput } from '../src/http/places.ts';
import { emailInput, parseEmail } from '../src/kernel/identifiers/index.ts';
import { checkPassword } from '../src/kernel/passwords/policy.ts';
import { readHeader } from '../src/kernel/tokens/compact.ts';

/** What a schema says about the length of one of its fields; nothing when the length is fine. */
const lengthErrors = (schema: unknown, value: unknown, field: string): string[] => {
  expect(schema).toBeInstanceOf(ZodType);
  const issues = (schema as ZodType).safeParse(value).error?.issues ?? [];
  return issues
    .filter(({ path, code }) => path.join('.') === field && ['too_big', 'too_small'].includes(code))
    .map(({ code }) => code);
};

describe('fields of requests', () => {
  const PASSWORDS: [name: string, schema: unknown, field: string][] = [
    ['login', password.passwordLoginBody, 'password'],
    ['registration', registration.registerBody, 'password'],
    ['setting a password', signup.setPasswordBody, 'password'],
    ['reset', recovery.resetBody, 'new_password'],
    ['balance hub registration', hub.hubRegisterBody, 'password'],
    ['balance hub login', hub.hubLoginBody, 'password'],
    ['balance hub reset', hub.hubResetBody, 'new_password'],
    ['change, the present one', account.changePasswordBody, 'current_password'],
    ['change, the new one', account.changePasswordBody, 'new_password'],
  ];

  test.each(PASSWORDS)('a password has 1 to 1024 characters: %s', (_, schema, field) => {
    const of = (length: number) => lengthErrors(schema, { [field]: 'x'.repeat(length) }, field);
    expect([of(0), of(1), of(1024), of(1025)]).toEqual([['too_small'], [], [], ['too_big']]);
  });

  test.each([
    ['an audience of a proof', proof.sendCodeBody, 'project_id', 64],
    ['an audience of a proof, when verifying', proof.verifyCodeBody, 'project_id', 64],
    ['a token type hint', sessions.introspectBody, 'token_type_hint', 64],
    ['a token to introspect', sessions.introspectBody, 'token', 4096],
    ['a name', registration.registerBody, 'name', 255],
    ['a first name', signup.profileBody, 'first_name', 100],
    ['a device', password.passwordLoginBody, 'device_fingerprint', 128],
    ['a flow token', signup.signupPhoneBody, 'flow_token', 100],
    ['an address to log in with', password.passwordLoginBody, 'email', 254],
    ['an address to register', registration.registerBody, 'email', 254],
  ] as const)('%s (%#)', (_, schema, field, most) => {
    const of = (length: number) => lengthErrors(schema, { [field]: 'x'.repeat(length) }, field);
    expect([of(most), of(most + 1)]).toEqual([[], ['too_big']]);
  });

  test('an event to simulate is named in at most 64 characters', () => {
    const of = (length: number) =>
      lengthErrors(
        definitions.simulateBody,
        { state: 'idle', event: { type: 'X'.repeat(length) } },
        'event.type',
      );
    expect([of(64), of(65)]).toEqual([[], ['too_big']]);
  });

  test('a time zone has at most 64 characters, a locale 35', () => {
    const of = (schema: unknown, length: number) => lengthErrors(schema, 'x'.repeat(length), '');
    expect([of(timezoneInput, 64), of(timezoneInput, 65)]).toEqual([[], ['too_big']]);
    expect([of(localeInput, 35), of(localeInput, 36)]).toEqual([[], ['too_big']]);
  });
});

describe('an e-mail address', () => {
  const sizes = (length: number) => {
    const domain = `${`${'d'.repeat(61)}.`.repeat(3)}co`;
    return `${'a'.repeat(length - domain.length - 1)}@${domain}`;
  };
  const refusal = (address: string): string | null => {
    try {
      parseEmail(address);
      return null;
    } catch (error) {
      return (error as { extras: { errors: { code: string }[] } }).extras.errors[0]?.code ?? 'unknown';
    }
  };

  test('has 3 to 254 characters in a request', () => {
    const of = (length: number) => emailInput.safeParse('x'.repeat(length)).success;
    expect([of(2), of(3), of(254), of(255)]).toEqual([false, true, true, false]);
  });

  test('has at most 254 characters, and at most 64 before the @', () => {
    const [longest, longer] = [sizes(253), sizes(253).replace('.co', '.com')];
    expect([longest.length, longest.indexOf('@')]).toEqual([253, 64]);
    expect([longer.length, refusal(longer)]).toEqual([254, null]);
    expect(refusal(longer.replace('.com', '.info'))).toBe('too_big');
    expect(refusal(`a${sizes(253)}`)).toBe('invalid_format');
    expect(refusal(`${'a'.repeat(64)}@example.com`)).toBeNull();
    expect(refusal(`${'a'.repeat(65)}@example.com`)).toBe('invalid_format');
  });

  test('has at most 254 characters with its domain in A-labels', () => {
    const domain = (last: string) => `${`${'d'.repeat(60)}.`.repeat(3)}${last}`;
    // An ü costs more in A-labels: these are short as typed and long as stored.
    const typed = (length: number) => `${'a'.repeat(length)}@${domain('ü.com')}`;
    const stored = parseEmail(typed(1)).canonical.length;
    const room = 254 - stored + 1;
    expect(room).toBeLessThanOrEqual(64);
    expect(parseEmail(typed(room)).canonical).toHaveLength(254);
    expect(typed(room + 1).length).toBeLessThan(254);
    expect(refusal(typed(room + 1))).toBe('too_big');
  });

  test('is refused unread beyond 254 characters as typed, even if it would be stored in fewer', () => {
    // Three Hangul letters compose to one, and its repetitions cost one character of an A-label each.
    const domain = (count: number) => `${`${'\u1112\u1161\u11ab'.repeat(count)}.`.repeat(3)}com`;
    expect(domain(27).length).toBeLessThan(254);
    expect(refusal(`a@${domain(27)}`)).toBeNull();
    expect(domain(30).length).toBeGreaterThan(254);
    expect(refusal(`a@${domain(30)}`)).toBe('too_big');
  });

  test('has labels of at most 63 characters', () => {
    expect(refusal(`a@${'d'.repeat(63)}.com`)).toBeNull();
    expect(refusal(`a@${'d'.repeat(64)}.com`)).toBe('invalid_format');
  });

  test('may have a capital at its place 254 and none beyond', () => {
    const ok = (place: number) => capitalsSchema.safeParse([place]).success;
    expect([ok(0), ok(1), ok(254), ok(255)]).toEqual([false, true, true, false]);
  });
});

test('a password policy reads at most 1024 bytes, however few characters they compose to', () => {
  // Three Hangul letters of nine bytes compose to one character.
  const composing = (bytes: number) => {
    const rest = `Aa1!${'x'.repeat((bytes - 4) % 9)}`;
    return rest + '\u1112\u1161\u11ab'.repeat((bytes - rest.length) / 9);
  };
  const codes = (bytes: number) => {
    const secret = composing(bytes);
    expect(Buffer.byteLength(secret)).toBe(bytes);
    return checkPassword(secret, { policy: 'default', context: [] }).map(({ code }) => code);
  };
  expect(codes(1024)).toEqual([]);
  expect(codes(1025)).toEqual(['password_too_long']);
});

test('a reason of the risk provider has 1 to 64 characters', () => {
  const ok = (length: number) =>
    riskAnswerSchema.safeParse({ decision: 'ALLOW', reasons: ['x'.repeat(length)] }).success;
  expect([ok(0), ok(1), ok(64), ok(65)]).toEqual([false, true, true, false]);
});

test('a key id in a token has at most 64 characters', () => {
  const token = (length: number) => {
    const header = { alg: 'ES256', kid: 'k'.repeat(length), typ: 'at+jwt' };
    return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.e30.AAAA`;
  };
  expect(readHeader(token(64)).kid).toHaveLength(64);
  expect(() => readHeader(token(65))).toThrow();
});

const wording = loadTexts(loadConfig({})).for({ locale: 'en', timezone: null, language: null });

test('a mail greets by the first 64 characters of a name', () => {
  const greeting = (length: number) =>
    renderLetter({ subject: 'Hello', lines: [], closing: 'Bye', name: 'N'.repeat(length) }, wording, {
      color: '#1f5fbf',
      logoUrl: null,
    }).text.split('\n')[0];
  expect(greeting(64)).toBe(`Hello ${'N'.repeat(64)},`);
  expect(greeting(65)).toBe(`Hello ${'N'.repeat(64)},`);
});
