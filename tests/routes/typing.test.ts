/** What people type is taken as they mean it: names of every script, addresses without a code, codes copied with blanks. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshPhone, type TestApp } from '../support/app.ts';
import {
  codeOf,
  demoAndReal,
  expectProblem,
  limited,
  realPhone,
  startSignup,
  verifySignup,
  withPassword,
} from './people.ts';

let demo: TestApp;
let real: TestApp;
beforeAll(async () => {
  [demo, real] = await demoAndReal();
});
afterAll(() => Promise.all([demo.close(), real.close()]));

const BORN = { date_of_birth: '1990-12-10' };

/** The name the account shows after a profile with these fields, or the refusal. */
async function profile(fields: object) {
  const token = await withPassword(demo, freshPhone());
  const done = await demo.call('POST', '/v1/auth/signup/profile', { token, body: { ...BORN, ...fields } });
  if (done.status !== 200) return { done, name: null };
  const me = await demo.call('GET', '/v1/users/me', { token: done.body.access_token });
  return { done, name: me.body.name as string };
}

describe('names', () => {
  test.each([
    ['Latin', 'Zoë Ångström-O’Neill'],
    ['Vietnamese Latin', 'Nguyễn Thị Ánh'],
    ['Greek', 'Ελένη Παπαδοπούλου'],
    ['Cyrillic', 'Юлія Ґалаґан'],
    ['Arabic', 'فاطمة الزهراء'],
    ['Persian with a non-joiner', 'مه\u200cلقا'],
    ['Hebrew', 'נֹעָה כהן'],
    ['Devanagari with a joiner', 'श्री\u200dराम'],
    ['Sinhala with a joiner', 'ශ්\u200dරී'],
    ['Bengali', 'রবীন্দ্রনাথ'],
    ['Tamil', 'கண்ணன்'],
    ['Thai', 'สมชาย ใจดี'],
    ['Han', '李小龍'],
    ['Hiragana and Katakana', 'あゆみ サトウ'],
    ['Hangul', '김민준'],
    ['Georgian', 'ნინო'],
    ['Armenian', 'Արամ'],
    ['Ethiopic', 'አበበ'],
  ])('of %s stand as they are written, whole or in parts', async (_script, name) => {
    expect((await profile({ name })).name).toBe(name);
    expect((await profile({ first_name: name })).name).toBe(name);
    expect((await profile({ first_name: name, last_name: name })).name).toBe(`${name} ${name}`);
  });

  test('signs that print nothing go; joiners stay between letters only', async () => {
    for (const [typed, kept] of [
      ['\u202eAda\u202c', 'Ada'],
      ['\u2066\u200eAda\u2069 Byron\u200f', 'Ada Byron'],
      ['A\u00adda\u200b \ufeffByron', 'Ada Byron'],
      ['\u200dAda\u200c Byron\u200d', 'Ada Byron'],
      [' \u00a0Ada ', 'Ada'],
    ])
      expect((await profile({ first_name: typed })).name).toBe(kept);
  });

  test.each([
    ['none', {}],
    ['a last name alone', { last_name: 'Byron' }],
    ['a whole name and parts', { name: 'Ada Byron', first_name: 'Ada' }],
    ['a whole name and a last name', { name: 'Ada', last_name: 'Byron' }],
    ['only signs that print nothing', { first_name: '\u200d\u202e' }],
    ['a control character', { first_name: 'A\u0007da' }],
    ['markup', { first_name: '<b>Ada' }],
    ['a private-use character', { first_name: 'Ada\ue000' }],
  ])('%s: refused', async (_what, fields) => {
    expectProblem((await profile(fields)).done, 400, 'validation_failed');
  });
});

describe('postal codes', () => {
  const address = (country: string, postal_code?: string) =>
    profile({
      first_name: 'Ada',
      address: { line1: '1 Main Street', city: 'Town', country, ...(postal_code ? { postal_code } : {}) },
    });

  test.each(['AE', 'HK', 'QA', 'AO', 'PA', 'JM'])(
    '%s has none: the address goes without',
    async (country) => {
      expect((await address(country)).done.status).toBe(200);
      expect((await address(country, '00000')).done.status).toBe(200);
    },
  );

  test.each(['US', 'DE', 'GB', 'IN', 'JP', 'BR', 'IE'])('%s has them: one is required', async (country) => {
    const { done } = await address(country);
    expectProblem(done, 400, 'validation_failed');
    expect(done.body.errors).toEqual([
      expect.objectContaining({
        pointer: '/body/address/postal_code',
        message: 'is required in this country',
      }),
    ]);
    expect((await address(country, country === 'JP' ? '１００－０００１' : 'AB1 2CD')).done.status).toBe(200);
  });
});

describe('codes', () => {
  const inScript = (code: string, zero: number) =>
    [...code].map((digit) => String.fromCodePoint(zero + Number(digit))).join('');

  test.each([
    ['blanks', (c: string) => ` ${c.slice(0, 3)} ${c.slice(3)} `],
    ['no-break spaces and a line break', (c: string) => `${c.slice(0, 3)}\u00a0${c.slice(3)}\n`],
    ['a hyphen', (c: string) => `${c.slice(0, 3)}-${c.slice(3)}`],
    ['marks of direction', (c: string) => `\u2066${c}\u2069`],
    ['Arabic-Indic digits', (c: string) => inScript(c, 0x660)],
    ['Persian digits', (c: string) => inScript(c, 0x6f0)],
    ['Devanagari digits', (c: string) => inScript(c, 0x966)],
    ['full-width digits', (c: string) => inScript(c, 0xff10)],
    ['Bengali digits', (c: string) => inScript(c, 0x9e6)],
  ])('with %s are the same code', async (_what, typed) => {
    const phone = realPhone();
    const token = (await startSignup(real, phone)).body.flow_token;
    const otp = typed(await codeOf(real, phone));
    expect(await verifySignup(real, phone, otp, token)).toMatchObject({
      status: 200,
      body: { status: 'preuser_created' },
    });
  });

  test.each(['12345', '1234567', '12 34 5', 'l23456', '½23456', 'Ⅳ23456', '一二三四五六', ''])(
    '%j is none, and costs no try',
    async (otp) => {
      expectProblem(await verifySignup(demo, freshPhone(), otp), 400, 'validation_failed');
    },
  );
});

test('e-mail addresses and phones are read with the blanks they were pasted with', async () => {
  const { access } = await limited(demo);
  const add = (type: string, value: string) =>
    demo.call('POST', '/v1/users/me/contacts', {
      token: access,
      body: { type, value, current_password: 'StrongPassword@123' },
    });
  expect((await add('email', ' typed@example.com\n')).status).toBe(202);
  const phone = freshPhone();
  const pasted = `\u202a${phone.slice(0, 2)} ${phone.slice(2, 5)}\u2011${phone.slice(5)}\u202c`;
  const started = await demo.call('POST', '/v1/auth/signup/phone', { body: { phone: pasted } });
  expect(started).toMatchObject({ status: 200, body: { phone } });
});
