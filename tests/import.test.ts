/** People of other systems come over with proven contacts and usable hashes, and get no further than LIMITED. */
import { hashSync } from '@node-rs/argon2';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORMATS, type ImportFormat } from '../src/import/formats.ts';
import { importUser } from '../src/import/import-user.ts';
import { createTestApp, type TestApp } from './support/app.ts';
import { query } from './support/people.ts';

let app: TestApp;
const PASSWORD = 'Brought-Along#2019';
const HASH = bcrypt.hashSync(PASSWORD, 4);
/** As another system makes it: no pepper, its own cost. */
const ARGON2 = hashSync(PASSWORD, { algorithm: 2, memoryCost: 2048, timeCost: 1, parallelism: 2 });
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

const LINES: [ImportFormat, object, string][] = [
  [
    'better-auth',
    {
      id: '1',
      email: 'ba@example.com',
      emailVerified: true,
      name: 'Bea',
      accounts: [{ providerId: 'credential', password: HASH }],
    },
    'ba@example.com',
  ],
  [
    'supabase',
    {
      id: '2',
      email: 'sb@example.com',
      email_confirmed_at: '2024-01-01T00:00:00Z',
      encrypted_password: HASH,
      raw_user_meta_data: { full_name: 'Sue' },
    },
    'sb@example.com',
  ],
  [
    'better-auth',
    {
      id: '1a',
      email: 'ba2@example.com',
      emailVerified: true,
      accounts: [{ providerId: 'credential', password: ARGON2 }],
    },
    'ba2@example.com',
  ],
  [
    'supabase',
    { id: '2a', email: 'sb2@example.com', email_confirmed_at: 'x', encrypted_password: ARGON2 },
    'sb2@example.com',
  ],
  [
    'clerk',
    {
      id: '3',
      first_name: 'Cle',
      primary_email_address: 'cl@example.com',
      verified_email_addresses: 'cl@example.com|other@example.com',
      password_digest: HASH,
      password_hasher: 'bcrypt',
    },
    'cl@example.com',
  ],
];

describe('a verified person', () => {
  test.each(LINES)(
    'of %s logs in with the old password, whose hash is then replaced',
    async (format, line, email) => {
      expect(await importUser(app.services, FORMATS[format].parse(line))).toBe('imported');
      const logIn = (password: string) => app.call('POST', '/v1/auth/login', { body: { email, password } });
      expect((await logIn('Not-The-Old-One#1')).status).toBe(401);
      expect(await logIn(PASSWORD)).toMatchObject({ status: 200, body: { account_tier: 'LIMITED' } });
      const hashOf = async () =>
        (
          await query<{ password_hash: string }>(
            app,
            'select password_hash from credentials k join contacts c on c.account_id = k.account_id where c.canonical = $1',
            [email],
          )
        )[0]!.password_hash;
      await expect.poll(hashOf, { timeout: 5000 }).toMatch(/^\$argon2id\$/);
      expect(await hashOf()).not.toBe(ARGON2);
      expect((await logIn(PASSWORD)).status).toBe(200);
    },
  );

  test('of Auth.js has no password and enters LIMITED all the same', async () => {
    const user = FORMATS.authjs.parse({
      id: '4',
      email: 'aj@example.com',
      emailVerified: '2024-01-01',
      name: null,
    });
    expect(await importUser(app.services, user)).toBe('imported');
    const [row] = await query(
      app,
      "select a.tier from accounts a join contacts c on c.account_id = a.id where c.canonical = 'aj@example.com'",
    );
    expect(row).toEqual({ tier: 'LIMITED' });
    const login = await app.call('POST', '/v1/auth/login', {
      body: { email: 'aj@example.com', password: PASSWORD },
    });
    expect(login.status).toBe(401);
  });

  test('is taken once', async () => {
    const user = FORMATS.supabase.parse({ email: 'twice@example.com', email_confirmed_at: 'x' });
    expect(await importUser(app.services, user)).toBe('imported');
    expect(await importUser(app.services, user)).toBe('exists');
    expect(
      await query(
        app,
        "select 1 from accounts a join contacts c on c.account_id = a.id where c.canonical = 'twice@example.com'",
      ),
    ).toHaveLength(1);
  });
});

test.each([
  ['an unverified address', { email: 'un@example.com' }, 'unverified'],
  ['no contact at all', {}, 'no_contact'],
  [
    'an address no mail system would read the same way',
    { email: 'a@b@c.co', email_confirmed_at: 'x' },
    'invalid_contact',
  ],
])('%s is not taken', async (_what, line, outcome) => {
  const before = await query(app, 'select count(*)::int as n from accounts');
  expect(await importUser(app.services, FORMATS.supabase.parse(line))).toBe(outcome);
  expect(await query(app, 'select count(*)::int as n from accounts')).toEqual(before);
});

test('a foreign hash format is left behind instead of stored', () => {
  const user = FORMATS['better-auth'].parse({
    email: 'x@example.com',
    emailVerified: true,
    accounts: [{ providerId: 'credential', password: 'salt:0123abcd' }],
  });
  expect(user.passwordHash).toBeNull();
});
