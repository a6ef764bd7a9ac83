import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { renderLetter } from '../../src/features/notices/layout/letter.ts';
import { mailSamples } from '../../src/features/notices/samples.ts';
import { verificationMail } from '../../src/features/notices/templates/verification.ts';
import { welcomeMail } from '../../src/features/notices/templates/welcome.ts';

const brand = { appName: 'Vestibule', frontendUrl: 'https://app.example' };
const HOSTILE = `<img src=x onerror=alert(1)>"'&\r\nBcc: victim@example.com\u202e\u0000`;

test('every template in the folder has a sample for the preview', () => {
  const files = readdirSync(new URL('../../src/features/notices/templates', import.meta.url));
  const shown = readFileSync(new URL('../../src/features/notices/samples.ts', import.meta.url), 'utf8');
  for (const file of files) expect(shown, file).toContain(`from './templates/${file}'`);
  const names = mailSamples(brand).map(({ template }) => template);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(files.length);
});

describe.each(mailSamples(brand))('$template', ({ content }) => {
  test('says the same in text and in HTML, and links to the front end only', () => {
    for (const link of `${content.text}${content.html}`.match(/https?:\/\/[^\s"<]+/g) ?? [])
      expect(link.startsWith(brand.frontendUrl)).toBe(true);
    const code = /^ {4}(\d{6})$/m.exec(content.text)?.[1];
    if (code) expect(content.html).toContain(code);
    expect(content.subject).toMatch(/^[\x20-\x7e]{5,100}$/);
    expect(content.html).not.toMatch(/<script|<img|<link|javascript:/i);
  });
});

test('nothing that was typed becomes markup, a header or a message of its own', () => {
  const samples = mailSamples({ ...brand, appName: HOSTILE });
  for (const { content } of [...samples, { content: welcomeMail({ ...brand, name: HOSTILE }) }]) {
    expect(content.html).not.toContain('<img');
    expect(content.html).not.toContain('\u202e');
    expect(content.subject).not.toMatch(/[\r\n\0]/);
  }
});

test.each(['evil.example', 'call me:', 'a/b', 'x@y'])(
  'the name %j is not repeated: it could be a link',
  (name) => {
    expect(welcomeMail({ ...brand, name }).text).toMatch(/^Hello,\n/);
  },
);

test('an ordinary name is greeted, escaped', () => {
  const mail = welcomeMail({ ...brand, name: "Zoë O'Neill & Söhne" });
  expect(mail.text).toMatch(/^Hello Zoë O'Neill & Söhne,\n/);
  expect(mail.html).toContain('Hello Zoë O&#39;Neill &amp; Söhne,');
});

test('a verification names nobody: whoever registered may not be the owner of the address', () => {
  expect(verificationMail({ ...brand, code: '123456', life: '5 minutes' }).text).toMatch(/^Hello,\n/);
});

test('a link that is no web address is refused', () => {
  const letter = { appName: 'x', subject: 'x', lines: [], closing: 'x' };
  expect(() => renderLetter({ ...letter, link: { label: 'x', href: 'javascript:alert(1)' } })).toThrow(
    /http/,
  );
});
