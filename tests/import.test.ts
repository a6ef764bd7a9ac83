/** People of other systems come over with proven contacts and usable hashes, and get no further than LIMITED. */
import { hashSync } from '@node-rs/argon2';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORMATS, type ImportFormat } from '../src/features/import/formats.ts';
import { importLines, type LineOutcome, tally } from '../src/features/import/import-lines.ts';
import { importUser } from '../src/features/import/import-user.ts';
import { readProof } from '../src/features/import/proof.ts';
import { createTestApp, freshPhone, type TestApp } from './support/app.ts';
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
    {
      id: '2a',
      email: 'sb2@example.com',
      email_confirmed_at: '2024-01-01T00:00:00Z',
      encrypted_password: ARGON2,
    },
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
      await expect.poll(hashOf, { timeout: 5000 }).toMatch(/^bound\$argon2id\$/);
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
    const user = FORMATS.supabase.parse({
      email: 'twice@example.com',
      email_confirmed_at: '2024-01-01T00:00:00Z',
    });
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
    { email: 'a@b@c.co', email_confirmed_at: '2024-01-01T00:00:00Z' },
    'invalid_contact',
  ],
])('%s is not taken', async (_what, line, outcome) => {
  const before = await query(app, 'select count(*)::int as n from accounts');
  expect(await importUser(app.services, FORMATS.supabase.parse(line))).toBe(outcome);
  expect(await query(app, 'select count(*)::int as n from accounts')).toEqual(before);
});

describe('two proven contacts', () => {
  const line = (email: string, phone: string, more = {}) =>
    FORMATS.supabase.parse({
      email,
      email_confirmed_at: '2024-01-01T00:00:00Z',
      phone: phone.slice(1),
      phone_confirmed_at: '2024-01-01T00:00:00Z',
      encrypted_password: HASH,
      ...more,
    });
  const byPhone = (phone: string) =>
    app.call('POST', '/v1/auth/login', { body: { phone, password: PASSWORD } });
  const byEmail = (email: string) =>
    app.call('POST', '/v1/auth/login', { body: { email, password: PASSWORD } });

  test('both lead to the one account', async () => {
    const phone = freshPhone();
    expect(await importUser(app.services, line('both@example.com', phone))).toBe('imported');
    const [one, other] = [await byEmail('both@example.com'), await byPhone(phone)];
    expect([one.status, other.status]).toEqual([200, 200]);
    expect(other.body.user_id).toBe(one.body.user_id);
  });

  test('one that is somebody else’s stays with them, and one that cannot be read is left behind', async () => {
    const phone = freshPhone();
    await importUser(app.services, line('first@example.com', phone));
    expect(await importUser(app.services, line('second@example.com', phone))).toBe('imported_partly');
    expect((await byPhone(phone)).body.user_id).toBe((await byEmail('first@example.com')).body.user_id);
    expect((await byEmail('second@example.com')).status).toBe(200);
    expect(await importUser(app.services, line('third@example.com', '+12'))).toBe('imported_partly');
    expect((await byEmail('third@example.com')).status).toBe(200);
    expect(await importUser(app.services, line('second@example.com', freshPhone()))).toBe('exists');
  });

  test('both are free again when the sign-up they came with is refused and forgotten', async () => {
    const phone = '+15555550104';
    expect(await importUser(app.services, line('reviewed@example.com', phone))).toBe('review');
    app.clock.advance(31 * 86_400_000);
    await app.relay.drain();
    const owned = await query(
      app,
      'select 1 from contacts where canonical in ($1, $2) and account_id is not null',
      ['reviewed@example.com', phone],
    );
    expect(owned).toEqual([]);
  });
});

describe('one bad line', () => {
  const good = (email: string, name?: string) =>
    JSON.stringify({ email, email_confirmed_at: '2024-01-01T00:00:00Z', raw_user_meta_data: { name } });

  async function taken(lines: string[], services = app.services): Promise<LineOutcome[]> {
    const told: LineOutcome[] = [];
    await importLines(services, 'supabase', lines, (outcome) => told.push(outcome));
    return told.sort((a, b) => a.line - b.line);
  }

  test('costs that line only: the others are taken, and what it held is told to nobody', async () => {
    const lines = [
      good('l1@example.com'),
      '{"email": "l2@exam',
      good('l3@example.com', 'a\u0000b'),
      good('l4@example.com', '<b>x</b>'),
      good('l5@example.com', 'x'.repeat(300)),
      '',
      good('l7@example.com', ' Ada '),
    ];
    const told = await taken(lines);
    expect(told.map(({ line, outcome }) => [line, outcome])).toEqual([
      [1, 'imported'],
      [2, 'unreadable'],
      [3, 'invalid_name'],
      [4, 'invalid_name'],
      [5, 'invalid_name'],
      [7, 'imported'],
    ]);
    const rows = await query(
      app,
      "select c.canonical, p.display_name from contacts c join profiles p on p.account_id = c.account_id where c.canonical ~ '^l[0-9]@' order by 1",
    );
    expect(rows).toEqual([
      { canonical: 'l1@example.com', display_name: null },
      { canonical: 'l7@example.com', display_name: 'Ada' },
    ]);
  });

  test('that the database refuses is an outcome with its number and a code, without its content', async () => {
    let calls = 0;
    const failing: TestApp['services'] = {
      ...app.services,
      engine: {
        ...app.services.engine,
        open: (...args) =>
          ++calls === 2
            ? Promise.reject(Object.assign(new Error('invalid input: f2@example.com'), { code: '22021' }))
            : app.services.engine.open(...args),
      },
    };
    const told = await taken(
      ['f1', 'f2', 'f3'].map((name) => good(`${name}@example.com`)),
      failing,
    );
    expect(told.filter(({ outcome }) => outcome === 'imported')).toHaveLength(2);
    expect(told.filter(({ outcome }) => outcome === 'failed')).toMatchObject([{ reason: '22021' }]);
    expect(JSON.stringify(told)).not.toContain('example.com');
  });
});

test('a foreign hash format is left behind instead of stored', () => {
  const user = FORMATS['better-auth'].parse({
    email: 'x@example.com',
    emailVerified: true,
    accounts: [{ providerId: 'credential', password: 'salt:0123abcd' }],
  });
  expect(user.passwordHash).toBeNull();
});

describe('what counts as proof of a contact', () => {
  const NOW = Date.parse('2026-01-01T00:00:00Z');
  const PROVEN = [
    true,
    1,
    'true',
    'TRUE',
    '1',
    't',
    'T',
    'yes',
    'Yes',
    'y',
    'Y',
    ' true ',
    '2024-02-29',
    '2024-01-01T10:00:00.123Z',
    '2024-01-01 10:00:00.123456+00',
    '2024-01-01 10:00:00',
    '2024-01-01T10:00:00+05:30',
    1_704_103_200,
    1_704_103_200_000,
  ];
  const UNPROVEN = [
    undefined,
    null,
    false,
    0,
    '',
    '  ',
    'false',
    'FALSE',
    'no',
    'No',
    '0',
    'null',
    'NULL',
    '0000-00-00',
    '0000-00-00 00:00:00',
    '0001-01-01T00:00:00Z',
    '0001-01-01 00:00:00+00',
    '1970-01-01',
    '1970-01-01T00:00:00.000Z',
    '1970-01-01 05:30:00+05:30',
  ];
  const NEITHER = [
    'x',
    'maybe',
    'verified',
    'unverified',
    '2',
    -1,
    2,
    'undefined',
    'never',
    '2024-02-30',
    '2024-13-01',
    '2023-02-29T00:00:00Z',
    '2024-01-01T25:00:00Z',
    '2026-01-02',
    '9999-12-31T23:59:59Z',
    'infinity',
    '01/02/2024',
    '1900-01-01',
    1_893_456_000_000,
    Number.NaN,
    {},
    [],
    ['true'],
  ];
  test.each(PROVEN)('%j is one', (value) => expect(readProof(value, NOW)).toBe(true));
  test.each(UNPROVEN)('%j says that there is none', (value) => expect(readProof(value, NOW)).toBe(false));
  test.each(NEITHER)('%j is not understood', (value) => expect(readProof(value, NOW)).toBeUndefined());

  const FIELDS: [ImportFormat, string, 'emailVerified' | 'phoneVerified'][] = [
    ['better-auth', 'emailVerified', 'emailVerified'],
    ['better-auth', 'phoneNumberVerified', 'phoneVerified'],
    ['supabase', 'email_confirmed_at', 'emailVerified'],
    ['supabase', 'phone_confirmed_at', 'phoneVerified'],
    ['authjs', 'emailVerified', 'emailVerified'],
  ];
  test.each(FIELDS)('in %s, %s is read like that', (format, field, read) => {
    const parse = (value: unknown) => FORMATS[format].safeParse({ [field]: value });
    expect(parse('yes').data?.[read]).toBe(true);
    expect(parse('false').data?.[read]).toBe(false);
    expect(parse('0001-01-01T00:00:00Z').data?.[read]).toBe(false);
    expect(FORMATS[format].parse({})[read]).toBe(false);
    expect(parse('maybe').success).toBe(false);
  });

  test('a line whose proof is not understood is reported and creates no account; "false" creates none either', async () => {
    const person = (email: string, emailVerified: unknown) => JSON.stringify({ email, emailVerified });
    const told: LineOutcome[] = [];
    const lines = [
      person('p1@example.com', 'false'),
      person('p2@example.com', 'perhaps'),
      person('p3@example.com', 'True'),
      person('p4@example.com', '0000-00-00 00:00:00'),
    ];
    await importLines(app.services, 'authjs', lines, (one) => told.push(one));
    expect(told.sort((a, b) => a.line - b.line).map(({ outcome }) => outcome)).toEqual([
      'unverified',
      'unreadable',
      'imported',
      'unverified',
    ]);
    const rows = await query(app, "select canonical from contacts where canonical ~ '^p[0-9]@'");
    expect(rows).toEqual([{ canonical: 'p3@example.com' }]);
  });
});

test('a file with a byte order mark and CRLF is read; accounts without a usable hash are counted apart', async () => {
  const line = (email: string, password: string) =>
    JSON.stringify({ email, emailVerified: true, accounts: [{ providerId: 'credential', password }] });
  const file = `\uFEFF${[line('w1@example.com', HASH), line('w2@example.com', 'scrypt:abc'), line('w1@example.com', '')].join('\r\n')}\r\n`;
  const counts = tally();
  // One by one, so that the third line finds the first one's account.
  for (const text of file.split('\n'))
    await importLines(app.services, 'better-auth', [text], (one) => counts.add(one));
  expect(counts.summary()).toBe('imported: 2, exists: 1; imported without a usable password hash: 1');
});
