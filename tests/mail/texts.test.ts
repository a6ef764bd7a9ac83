/** The catalogue of texts: complete in each shipped language, strict about what an operator adds, in the reader's language. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { faultsOf, loadTexts, SHIPPED } from '../../src/features/notices/texts/catalogue.ts';
import { fitsOneSms } from '../../src/features/notices/texts/sms-length.ts';
import { acceptedLanguage } from '../../src/kernel/languages.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { freshEmail, mailbox } from '../support/mail.ts';
import { limitedPerson, PASSWORD, query } from '../support/people.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

/** A folder with these files; what is not text yet becomes JSON. */
function folder(files: Record<string, unknown>): string {
  const dir = mkdtempSync(join(tmpdir(), 'vestibule-texts-'));
  cleanup.push(() => rmSync(dir, { recursive: true }));
  for (const [name, value] of Object.entries(files))
    writeFileSync(join(dir, name), typeof value === 'string' ? value : JSON.stringify(value));
  return dir;
}

const load = (env: Record<string, string>) => loadTexts(loadConfig(env));
const english = SHIPPED.en as Record<string, string>;

test.each(Object.entries(SHIPPED))('%s lacks no text and no place to fill', (_, texts) => {
  expect(faultsOf(texts)).toEqual([]);
});

test('a key that a language lacks is found', () => {
  const { 'sms.code.login': _, ...rest } = english;
  expect(faultsOf(rest)).toEqual(['missing key sms.code.login']);
});

describe('TEXTS_DIR', () => {
  test('replaces single texts of a shipped language and leaves the others', () => {
    const texts = load({ TEXTS_DIR: folder({ 'en.json': { 'button.open': 'Go to {app}' } }) });
    const wording = texts.for({ locale: 'en-GB', timezone: null, language: null });
    expect(wording.say('button.open')).toBe('Go to Vestibule');
    expect(wording.say('greeting.plain')).toBe('Hello,');
  });

  test('adds a language, and a region that says only what differs', () => {
    const german = { ...english, 'greeting.plain': 'Guten Tag,' };
    const dir = folder({ 'de.json': german, 'de-AT.json': { 'greeting.plain': 'Servus,' } });
    const texts = load({ TEXTS_DIR: dir });
    expect([...texts.languages].sort()).toEqual(['ar', 'de', 'de-AT', 'en']);
    const greets = (locale: string) =>
      texts.for({ locale, timezone: null, language: null }).say('greeting.plain');
    expect(['de-CH', 'de-AT', 'en-US'].map(greets)).toEqual(['Guten Tag,', 'Servus,', 'Hello,']);
  });

  test.each([
    ['de.json', '{"greeting.plain": ', /^TEXTS_DIR: de\.json: .*JSON/],
    ['de.json', [], /^TEXTS_DIR: de\.json: must be an object/],
    ['de.json', { 'greeting.plain': 'Hallo' }, /^TEXTS_DIR: de\.json: missing key greeting\.named, /],
    ['en.json', { 'greeting.plane': 'Hello' }, /^TEXTS_DIR: en\.json: unknown key greeting\.plane$/],
    ['en.json', { 'greeting.named': 'Hello' }, /^TEXTS_DIR: en\.json: greeting\.named lacks \{name\}$/],
    [
      'en.json',
      { 'greeting.plain': 'Hi {name}' },
      /^TEXTS_DIR: en\.json: greeting\.plain has no \{name\} to fill$/,
    ],
    ['en.json', { 'greeting.plain': 7 }, /^TEXTS_DIR: en\.json: greeting\.plain must be a text$/],
    [
      'en.json',
      { 'greeting.plain': 'a\nb' },
      /^TEXTS_DIR: en\.json: greeting\.plain has control characters$/,
    ],
    ['english.json', {}, /^TEXTS_DIR: english\.json: its name must be a language tag/],
    [
      'en.json',
      { 'sms.code.login': `{code} is your {app} code. ${'x'.repeat(140)}` },
      /^TEXTS_DIR: en\.json: sms\.code\.login must fit one SMS$/,
    ],
  ])('with %s holding %j stops the start and names the mistake', (name, content, message) => {
    expect(() => load({ TEXTS_DIR: folder({ [name]: content }) })).toThrow(message);
  });

  test('names every mistake of every file at once', () => {
    const dir = folder({ 'en.json': { nope: 'x', 'greeting.named': 'Hello' }, 'de.json': 'x' });
    const failure = (() => {
      try {
        return load({ TEXTS_DIR: dir });
      } catch (error) {
        return error as Error;
      }
    })() as Error;
    expect(failure.name).toBe('ConfigError');
    expect(failure.message.split('\n')).toHaveLength(3);
  });

  test('that is no folder is named', () => {
    expect(() => load({ TEXTS_DIR: '/nowhere/at/all' })).toThrow(/^TEXTS_DIR: cannot be read: ENOENT$/);
  });
});

test('a long product name is named in English where another alphabet leaves no room in one SMS', () => {
  const sms = (APP_NAME: string) =>
    load({ APP_NAME }).for({ locale: 'ar', timezone: null, language: null }).say('sms.contact_changed');
  expect(sms('Vestibule')).toContain('تغيرت بيانات اتصالك في Vestibule');
  const long = 'The Harbour Masters and Pilots Association of 1872';
  expect(sms(long)).toContain(`Your ${long} contact details were changed`);
});

test('a default language without texts, and a product name too long for an SMS, stop the start', () => {
  expect(() => load({ DEFAULT_LOCALE: 'fr' })).toThrow(
    /^DEFAULT_LOCALE: must be a language with texts: en, ar$/,
  );
  expect(() => load({ APP_NAME: 'ع'.repeat(60) })).toThrow(/^APP_NAME: is too long/);
});

test.each([
  ['a'.repeat(160), true],
  ['a'.repeat(161), false],
  [`${'a'.repeat(158)}€`, true],
  [`${'a'.repeat(159)}€`, false],
  ['ع'.repeat(70), true],
  ['ع'.repeat(71), false],
  [`${'a'.repeat(69)}ع`, true],
  [`${'a'.repeat(70)}ع`, false],
])('%j is one SMS: %s', (text, fits) => {
  expect(fitsOneSms(text)).toBe(fits);
});

test.each([
  ['ar', 'ar'],
  ['ar-SA,en;q=0.5', 'ar'],
  ['fr, en;q=0.3, ar;q=0.7', 'ar'],
  ['ar;q=0, en', 'en'],
  ['*', null],
  ['fr-FR', null],
  [undefined, null],
  ['', null],
  [';q=1,,ar;q=x', null],
  [`${'fr,'.repeat(10_000)}ar`, null],
])('of Accept-Language %j the language is %j', (header, language) => {
  expect(acceptedLanguage(header, ['en', 'ar'])).toBe(language);
});

test("a moment is written in the reader's language and time zone, without either in UTC", () => {
  const texts = load({});
  const at = new Date('2030-05-17T22:30:00Z');
  const moment = (locale: string | null, timezone: string | null) =>
    texts.for({ locale, timezone, language: null }).moment(at);
  expect(moment(null, null)).toMatch(/^May 17, 2030 at 10:30\sPM UTC$/);
  expect(moment('en-GB', 'Asia/Riyadh')).toBe('18 May 2030 at 01:30 GMT+3');
  expect(moment('ar', 'Asia/Riyadh')).toContain('18 مايو 2030');
});

describe('the language of a message', () => {
  async function appWith(env: Record<string, string> = {}): Promise<TestApp> {
    const app = await createTestApp({ env });
    cleanup.push(() => app.close());
    return app;
  }

  const ARABIC_SUBJECT = /^\d{6} هو رمزك في Vestibule$/;
  const ENGLISH_SUBJECT = /^\d{6} is your Vestibule code$/;

  async function verificationOf(app: TestApp, headers: Record<string, string>, body: object = {}) {
    const email = freshEmail();
    const registered = await app.call('POST', '/v1/auth/register', {
      headers,
      body: { email, password: PASSWORD, name: 'Ada Byron', ...body },
    });
    expect(registered.status).toBe(201);
    await app.relay.drain();
    return (await mailbox(app, email))[0]?.subject;
  }

  test('is that of the profile, else the accepted one, else DEFAULT_LOCALE', async () => {
    const app = await appWith();
    expect(await verificationOf(app, { 'accept-language': 'ar-EG,ar;q=0.9' })).toMatch(ARABIC_SUBJECT);
    expect(await verificationOf(app, { 'accept-language': 'ar' }, { locale: 'en-GB' })).toMatch(
      ENGLISH_SUBJECT,
    );
    expect(await verificationOf(app, { 'accept-language': 'en' }, { locale: 'ar' })).toMatch(ARABIC_SUBJECT);
    expect(await verificationOf(app, { 'accept-language': 'ar' }, { locale: 'fr-FR' })).toMatch(
      ARABIC_SUBJECT,
    );
    const arabic = await appWith({ DEFAULT_LOCALE: 'ar' });
    expect(await verificationOf(arabic, { 'accept-language': 'fr' }, { locale: 'fr-FR' })).toMatch(
      ARABIC_SUBJECT,
    );
  });

  test('is accepted by the caller of a code by SMS, and of the next one', async () => {
    const app = await appWith();
    const started = await app.call('POST', '/v1/auth/signup/phone', {
      headers: { 'accept-language': 'ar' },
      body: { phone: '+15555550190' },
    });
    await app.relay.drain();
    expect(started.status).toBeLessThan(300);
    const [sms] = (await app.services.inbox?.list()) ?? [];
    expect(sms?.text).toContain('رمز التسجيل في Vestibule');
    const rows = await query<{ payload: { language?: string } }>(
      app,
      "select payload from outbox where topic = 'code.send'",
    );
    expect(rows.map(({ payload }) => payload.language)).toEqual(['ar']);
  });

  test('is accepted by the caller whose password login asks for a code', async () => {
    const app = await appWith();
    const { phone, userId } = await limitedPerson(app);
    await query(app, 'update credentials set password_restored_at = now() where account_id = $1', [userId]);
    const asked = await app.call('POST', '/v1/auth/login', {
      headers: { 'accept-language': 'ar' },
      body: { phone, password: PASSWORD, device_fingerprint: 'device-one' },
    });
    expect(asked.body).toMatchObject({ auth_status: 'STEP_UP_REQUIRED', factors: ['login_code'] });
    await app.relay.drain();
    expect((await app.services.inbox?.latest(phone))?.text).toContain('رمز الدخول إلى Vestibule');
  });
});
