/** Whoever changes how one gets into an account cannot keep it from its owner: every proven address is told. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { giveEmail, limitedPerson, PASSWORD, type Person, query } from '../support/people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

const NEW_PASSWORD = 'Another-Secret#2024';
let nth = 0;

async function withTwoMailboxes() {
  const person = await limitedPerson(app, freshPhone());
  const mailboxes = [`first-${++nth}@example.com`, `second-${nth}@example.com`] as const;
  for (const one of mailboxes) await giveEmail(app, person.userId, one);
  return { person, mailboxes };
}

/** What came in since the last look, by subject or text; codes and links aside. */
async function notices(to: string, on = app): Promise<string[]> {
  await on.relay.drain();
  const entries = await on.services.inbox!.list({ to });
  return entries.map((e) => `${e.subject ?? ''} ${e.text}`).filter((text) => /chang/i.test(text));
}

const change = (person: Person, on = app) =>
  on.call('POST', '/v1/users/change-password', {
    token: person.accessToken,
    body: { current_password: PASSWORD, new_password: NEW_PASSWORD },
  });

async function add(person: Person, type: 'email' | 'phone', value: string) {
  const { accessToken: token } = person;
  const body = { type, value, current_password: PASSWORD };
  const started = await app.call('POST', '/v1/users/me/contacts', { token, body });
  const { flow_token } = started.body;
  const proof = { flow_token, code: '000000' };
  const done = await app.call('POST', '/v1/users/me/contacts/verify', { token, body: proof });
  expect(done.status).toBe(200);
  return done.body.contacts as { contact_id: string; value: string }[];
}

test('a changed password is told to every proven address', async () => {
  const { person, mailboxes } = await withTwoMailboxes();
  expect((await change(person)).status).toBe(200);
  for (const mailbox of mailboxes) expect(await notices(mailbox), mailbox).toHaveLength(1);
});

test('a reset password is told to every proven address, not only to the one that was asked', async () => {
  const { person, mailboxes } = await withTwoMailboxes();
  await app.call('POST', '/v1/auth/password/reset-request', { body: { email: mailboxes[1] } });
  const [row] = await query<{ id: string; token_generation: string }>(
    app,
    "select id, token_generation from flows where machine = 'recovery' and account_id = $1",
    [person.userId],
  );
  const token = createKeyring(app.secrets.masterKey).flowTokenFor(row!.id, Number(row!.token_generation));
  const body = { token, new_password: NEW_PASSWORD };
  expect((await app.call('POST', '/v1/auth/password/reset', { body })).status).toBe(200);
  for (const mailbox of mailboxes) expect(await notices(mailbox), mailbox).toHaveLength(1);
});

test('a contact that comes or goes is told to every proven address, the one that goes included', async () => {
  const { person, mailboxes } = await withTwoMailboxes();
  const contacts = await add(person, 'email', `joined-${nth}@example.com`);
  for (const mailbox of mailboxes) expect(await notices(mailbox), mailbox).toHaveLength(1);
  expect(await notices(`joined-${nth}@example.com`)).toHaveLength(0);
  const gone = contacts.find((c) => c.value === mailboxes[0])!.contact_id;
  const removed = await app.call('DELETE', `/v1/users/me/contacts/${gone}`, {
    token: person.accessToken,
    body: { current_password: PASSWORD },
  });
  expect(removed.status).toBe(200);
  for (const mailbox of mailboxes) expect(await notices(mailbox), mailbox).toHaveLength(2);
  expect(await notices(`joined-${nth}@example.com`)).toHaveLength(1);
});

/** What came in of an account's end. */
async function ends(to: string, on = app): Promise<string[]> {
  await on.relay.drain();
  const entries = await on.services.inbox!.list({ to });
  return entries
    .map((e) => `${e.subject ?? ''} ${e.text}`)
    .filter((text) => /account.* was deleted/.test(text));
}

const erase = (person: Person, on = app) =>
  on.call('DELETE', '/v1/users/me', { token: person.accessToken, body: { password: PASSWORD } });

test('a deleted account is told to every proven address, with the day until which it can be undone', async () => {
  const { person, mailboxes } = await withTwoMailboxes();
  await query(app, 'update contacts set verified_at = null where canonical = $1', [mailboxes[1]]);
  const { body } = await erase(person);
  const [told, ...more] = await ends(mailboxes[0]);
  const day = new Intl.DateTimeFormat('en', { dateStyle: 'long', timeZone: 'UTC' });
  expect(told).toContain(`will be deleted on ${day.format(new Date(body.erased_after))} at `);
  expect(more).toEqual([]);
  expect(await ends(mailboxes[1])).toEqual([]);
});

test('a deletion by somebody else reaches the owner by SMS where there is no address', async () => {
  const person = await limitedPerson(app, freshPhone());
  expect((await erase(person)).status).toBe(200);
  expect(await ends(person.phone)).toEqual([expect.stringContaining('will be deleted in 30 days')]);
});

test('a refused deletion tells nobody', async () => {
  const { person, mailboxes } = await withTwoMailboxes();
  const body = { password: 'Wrong-Password#1' };
  const refused = await app.call('DELETE', '/v1/users/me', { token: person.accessToken, body });
  expect(refused.status).toBe(401);
  expect(await ends(mailboxes[0])).toEqual([]);
});

test('an account with nothing but a phone is told by SMS', async () => {
  const person = await limitedPerson(app, freshPhone());
  expect((await change(person)).status).toBe(200);
  expect(await notices(person.phone)).toEqual([expect.stringContaining('password was changed')]);
});

test('so is one that gets its first address: whoever adds it cannot do so in silence', async () => {
  const person = await limitedPerson(app, freshPhone());
  await add(person, 'email', `intruder-${++nth}@example.com`);
  expect(await notices(person.phone)).toEqual([expect.stringContaining('contact details were changed')]);
});

test('an address that was never proven is told nothing', async () => {
  const { person, mailboxes } = await withTwoMailboxes();
  await query(app, 'update contacts set verified_at = null where canonical = $1', [mailboxes[1]]);
  await change(person);
  expect(await notices(mailboxes[0])).toHaveLength(1);
  expect(await notices(mailboxes[1])).toHaveLength(0);
});

test('a notice by SMS is not sent beyond the caps on SMS, and the change stands', async () => {
  const capped = await createTestApp({ env: { ...LIMITS_OFF, LIMIT_SMS_DAILY: '2/1h' } });
  try {
    const person = await limitedPerson(capped, freshPhone());
    await capped.call('POST', '/v1/auth/send-otp', { body: { phone: person.phone } });
    expect((await change(person, capped)).status).toBe(200);
    expect(await notices(person.phone, capped)).toEqual([]);
  } finally {
    await capped.close();
  }
});

test('a mailbox that somebody else has filled gets the notice once there is room, not never', async () => {
  const other = await createTestApp({ env: { ...LIMITS_OFF, LIMIT_MAIL: '3/1h' } });
  try {
    const fill = { password: PASSWORD, name: 'Somebody' };
    const changed = async (mailbox: string) =>
      (await notices(mailbox, other)).filter((text) => /password was changed/.test(text));
    const [ada, bob] = [await limitedPerson(other, freshPhone()), await limitedPerson(other, freshPhone())];
    await giveEmail(other, ada.userId, 'bombed@example.com');
    await giveEmail(other, bob.userId, 'bombed-too@example.com');
    for (const email of ['bombed@example.com', 'bombed-too@example.com'])
      for (let i = 0; i < 4; i++) await other.call('POST', '/v1/auth/register', { body: { ...fill, email } });
    await other.relay.drain();
    expect((await change(ada, other)).status).toBe(200);
    expect((await erase(bob, other)).status).toBe(200);
    expect(await changed('bombed@example.com')).toHaveLength(0);
    expect(await ends('bombed-too@example.com', other)).toHaveLength(0);
    other.clock.advance(3_700_000);
    expect(await changed('bombed@example.com')).toHaveLength(1);
    expect(await ends('bombed-too@example.com', other)).toHaveLength(1);
  } finally {
    await other.close();
  }
});
