import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { inkOn, renderLetter } from '../../src/features/notices/layout/letter.ts';
import { createMails } from '../../src/features/notices/mails.ts';
import { mailSamples } from '../../src/features/notices/samples.ts';
import { loadTexts } from '../../src/features/notices/texts/catalogue.ts';

const frontendUrl = 'https://app.example';
const brand = { color: '#1f5fbf', logoUrl: null };
const HOSTILE = `<img src=x onerror=alert(1)>"'&\r\nBcc: victim@example.com\u202e\u0000`;
const mails = createMails({ ...brand, frontendUrl });

const wordingOf = (language: string, env: Record<string, string> = {}) =>
  loadTexts(loadConfig(env)).for({ locale: language, timezone: null, language: null });
const english = wordingOf('en');
const samplesIn = (language: string) => mailSamples(mails, wordingOf(language), frontendUrl);

describe.each(['en', 'ar'])('in %s', (language) => {
  test.each(samplesIn(language))(
    '$template says the same in text and in HTML, and links to the front end only',
    ({ content }) => {
      for (const link of `${content.text}${content.html}`.match(/https?:\/\/[^\s"<]+/g) ?? [])
        expect(link.startsWith(frontendUrl)).toBe(true);
      const code = /^ {4}(\d{6})$/m.exec(content.text)?.[1];
      if (code) expect(content.html).toContain(code);
      expect(content.subject).toMatch(/^.{5,100}$/);
      expect(content.text).not.toMatch(/[{}]/);
      expect(content.html).not.toMatch(/<script|<img|<link|javascript:/i);
      expect(content.html).toContain(`<html lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}">`);
    },
  );
});

test('a mail in Arabic reads from right to left, its code and its link from left to right', () => {
  const [verification, , reset] = samplesIn('ar').map(({ content }) => content.html);
  expect(verification).toMatch(/<body class="page" dir="rtl"/);
  expect(verification).toContain('<span dir="ltr">271828</span>');
  expect(reset).toContain('<span dir="ltr">https://app.example/');
});

test('a mail brings colours for the dark mode of its reader', () => {
  const { html } = mails.welcome(english, { name: null });
  expect(html).toContain('<meta name="color-scheme" content="light dark">');
  expect(html).toMatch(/@media \(prefers-color-scheme: dark\) \{[^@]*\.card \{ background: #1f2329/);
});

test('product name, logo and colour are those of the settings', () => {
  const own = createMails({ color: '#ffd400', logoUrl: 'https://cdn.example/a.png?x=1&y=2', frontendUrl });
  const { html, subject } = own.welcome(wordingOf('en', { APP_NAME: 'Harbour' }), { name: null });
  expect(subject).toBe('Welcome to Harbour');
  expect(html).toContain('background:#ffd400;color:#000000');
  expect(html).toContain('<img src="https://cdn.example/a.png?x=1&amp;y=2"');
});

test.each([
  ['#000000', '#ffffff'],
  ['#1f5fbf', '#ffffff'],
  ['#ffffff', '#000000'],
  ['#ffd400', '#000000'],
])('a button of %s has text in %s', (color, ink) => {
  expect(inkOn(color)).toBe(ink);
});

test('nothing that was typed becomes markup, a header or a message of its own', () => {
  const hostile = wordingOf('en', { APP_NAME: HOSTILE.replace(/[\0\r\n]/g, '').slice(0, 40) });
  const samples = mailSamples(mails, hostile, frontendUrl);
  for (const { content } of [...samples, { content: mails.welcome(english, { name: HOSTILE }) }]) {
    expect(content.html).not.toContain('<img');
    expect(content.html).not.toContain('\u202e');
    expect(content.subject).not.toMatch(/[\r\n\0]/);
  }
});

test.each(['evil.example', 'call me:', 'a/b', 'x@y'])(
  'the name %j is not repeated: it could be a link',
  (name) => {
    expect(mails.welcome(english, { name }).text).toMatch(/^Hello,\n/);
  },
);

test('an ordinary name is greeted, escaped', () => {
  const mail = mails.welcome(english, { name: "Zoë O'Neill & Söhne {app}" });
  expect(mail.text).toMatch(/^Hello Zoë O'Neill & Söhne \{app\},\n/);
  expect(mail.html).toContain('Hello Zoë O&#39;Neill &amp; Söhne');
});

test('a verification names nobody: whoever registered may not be the owner of the address', () => {
  expect(mails.verification(english, { code: '123456', lifeMs: 300_000 }).text).toMatch(/^Hello,\n/);
});

test('a link that is no web address is refused', () => {
  const letter = { subject: 'x', lines: [], closing: 'x', link: { label: 'x', href: 'javascript:alert(1)' } };
  expect(() => renderLetter(letter, english, brand)).toThrow(/http/);
});
