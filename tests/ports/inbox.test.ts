import { describe, expect, test } from 'vitest';
import { createInbox } from '../../src/adapters/inbox.ts';
import { createLocalMail } from '../../src/adapters/mail-local.ts';

const entry = (id: string, to = 'a') => ({ id, channel: 'sms' as const, to, text: `text ${id}` });
const ids = (entries: { id: string }[]) => entries.map((e) => e.id);

describe('the inbox', () => {
  test('keeps the newest entries up to its limit, newest first', async () => {
    let time = 0;
    const inbox = createInbox({ limit: 3, now: () => ++time });
    for (const id of ['1', '2', '3', '4', '5']) await inbox.add(entry(id));
    expect(ids(await inbox.list())).toEqual(['5', '4', '3']);
    expect((await inbox.latest('a'))?.at).toBe(5);
  });

  test('keeps one entry for a delivery that was repeated', async () => {
    const inbox = createInbox({ limit: 2, now: () => 1 });
    await inbox.add(entry('1'));
    await inbox.add(entry('2'));
    await inbox.add({ ...entry('1'), text: 'again' });
    expect((await inbox.list()).map((e) => e.text)).toEqual(['again', 'text 2']);
  });

  test('finds by recipient and channel', async () => {
    const inbox = createInbox({ now: () => 1 });
    await inbox.add(entry('1', 'a'));
    await inbox.add(entry('2', 'b'));
    await createLocalMail({ inbox }).send({ id: '3', to: 'a', subject: 's', text: 't', html: '<p>t</p>' });
    expect(ids(await inbox.list({ to: 'a' }))).toEqual(['3', '1']);
    expect(ids(await inbox.list({ channel: 'sms' }))).toEqual(['2', '1']);
    expect(ids(await inbox.list({ limit: 1 }))).toEqual(['3']);
    expect((await inbox.latest('b'))?.id).toBe('2');
    expect(await inbox.latest('c')).toBeNull();
  });

  test('a mail keeps subject, both bodies and its code', async () => {
    const inbox = createInbox({ now: () => 7 });
    const mail = { id: '1', to: 'a@example.com', subject: 's', text: 't', html: '<p>t</p>', code: '123456' };
    await createLocalMail({ inbox }).send(mail);
    expect(await inbox.latest('a@example.com')).toEqual({ ...mail, at: 7, channel: 'mail' });
  });

  test('what it hands out cannot change what it keeps', async () => {
    const inbox = createInbox({ now: () => 1 });
    const added = await inbox.add(entry('1'));
    added.text = 'changed';
    for (const listed of await inbox.list()) listed.text = 'changed';
    expect((await inbox.latest('a'))?.text).toBe('text 1');
  });

  test('refuses a limit that would keep nothing', () => {
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      expect(() => createInbox({ limit, now: () => 1 })).toThrow(RangeError);
    }
  });
});
