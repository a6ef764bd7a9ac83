import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PURPOSES } from '../../machines/effects.ts';
import { createInbox } from '../../src/adapters/inbox.ts';
import { createLocalSms } from '../../src/adapters/sms-local.ts';
import { createTwilioSms } from '../../src/adapters/sms-twilio.ts';
import { loadConfig } from '../../src/config/index.ts';
import { createSmsText } from '../../src/features/notices/sms-text.ts';
import { loadTexts, type Wording } from '../../src/features/notices/texts/catalogue.ts';
import { answer, recordingServer } from './recording-server.ts';

const message = {
  id: 'outbox-1',
  to: '+15555550100',
  text: '123456 is your code & more.\n\n@a.example #123456',
};

describe('the Twilio adapter', () => {
  let server: Awaited<ReturnType<typeof recordingServer>>;
  const account = { accountSid: 'AC00000000000000000000000000000001', authToken: 'token-of-the-account' };

  beforeAll(async () => {
    server = await recordingServer(answer(201, '{"sid":"SM1"}', { 'content-type': 'application/json' }));
  });
  beforeEach(() => {
    server.requests.length = 0;
    server.reply = answer(201, '{"sid":"SM1"}');
  });
  afterAll(() => server.close());

  test('posts the documented form, byte for byte', async () => {
    const sms = createTwilioSms({ ...account, baseUrl: server.url, sender: { from: '+15005550006' } });
    await sms.send({ ...message, code: 'not-for-providers' });
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json',
      body: 'To=%2B15555550100&From=%2B15005550006&Body=123456+is+your+code+%26+more.%0A%0A%40a.example+%23123456',
    });
    expect(server.requests[0]?.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${btoa('AC00000000000000000000000000000001:token-of-the-account')}`,
    });
  });

  test('names a messaging service instead of a sender when it is given one', async () => {
    const sender = { messagingServiceSid: 'MG00000000000000000000000000000002' };
    await createTwilioSms({ ...account, baseUrl: server.url, sender }).send({ ...message, text: 'hi' });
    expect(server.requests[0]?.body).toBe(
      'To=%2B15555550100&MessagingServiceSid=MG00000000000000000000000000000002&Body=hi',
    );
  });

  test('signs in with an API key but keeps the account in the path', async () => {
    const sms = createTwilioSms({
      ...account,
      apiKeySid: 'SK1',
      baseUrl: server.url,
      sender: { from: 'Shop' },
    });
    await sms.send(message);
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${btoa('SK1:token-of-the-account')}`);
    expect(server.requests[0]?.path).toContain('/Accounts/AC0');
  });

  test('a full queue is retried, a bad number is not', async () => {
    const sms = createTwilioSms({ ...account, baseUrl: server.url, sender: { from: '+15005550006' } });
    server.reply = answer(429, '{"code":20429}');
    await expect(sms.send(message)).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
    server.reply = answer(400, '{"code":21211,"message":"The number +15555550100 is not valid"}');
    await expect(sms.send(message)).rejects.toMatchObject({
      retry: false,
      message: 'sms provider answered 400',
    });
  });

  test('refuses an account SID that could change the path', () => {
    for (const accountSid of ['', '../x', 'AC1/Messages', 'AC1?x']) {
      expect(() => createTwilioSms({ ...account, accountSid, sender: { from: 'x' } })).toThrow(/SID/);
    }
  });
});

describe('the local adapter', () => {
  test('puts text and code into the inbox', async () => {
    const inbox = createInbox({ now: () => 42 });
    await createLocalSms({ inbox }).send({ ...message, code: '123456' });
    expect(await inbox.list()).toEqual([
      { id: 'outbox-1', at: 42, channel: 'sms', to: '+15555550100', text: message.text, code: '123456' },
    ]);
  });

  test('refuses the reserved number for a failed delivery for good and keeps nothing', async () => {
    const inbox = createInbox({ now: () => 42 });
    const sent = createLocalSms({ inbox }).send({ ...message, to: '+15555550103' });
    await expect(sent).rejects.toMatchObject({ name: 'DeliveryError', retry: false });
    expect(await inbox.list()).toEqual([]);
  });
});

describe('the text of a code', () => {
  const texts = loadTexts(loadConfig({}));
  const wordings = texts.languages.map((language) => texts.for({ language, locale: null, timezone: null }));
  const english = wordings[0] as Wording;

  test('names the product and its purpose and ends with the origin-bound line', () => {
    const text = createSmsText({ domain: 'auth.example.com' })(english, { purpose: 'login', code: '012345' });
    expect(text).toBe(
      "012345 is your Vestibule code to log in. Don't share it.\n\n@auth.example.com #012345",
    );
  });

  test.each(wordings)('differs for every purpose in $language', (wording) => {
    const smsText = createSmsText({ domain: 'a.example' });
    expect(new Set(PURPOSES.map((purpose) => smsText(wording, { purpose, code: '123456' }))).size).toBe(
      PURPOSES.length,
    );
  });

  test.each(PURPOSES)('of %s is one GSM-7 segment even with the longest domain and code', (purpose) => {
    const domain = `${'a'.repeat(55)}.example`;
    const text = createSmsText({ domain })(english, { purpose, code: '1234567890' });
    expect(domain).toHaveLength(63);
    expect(text).toMatch(/^[A-Za-z0-9 \n@#.,'-]{1,160}$/);
    expect(text.split('\n').at(-1)).toBe(`@${domain} #1234567890`);
  });

  test.each(PURPOSES)('of %s in another alphabet is one segment of 70 characters', (purpose) => {
    const arabic = texts.for({ language: 'ar', locale: null, timezone: null });
    const text = createSmsText({ domain: 'id.example.com' })(arabic, { purpose, code: '123456' });
    expect(text.length).toBeLessThanOrEqual(70);
    expect(text).toContain('Vestibule');
    expect(text.split('\n').at(-1)).toBe('@id.example.com #123456');
    const long = createSmsText({ domain: `${'a'.repeat(55)}.example` })(arabic, { purpose, code: '123456' });
    expect(text.startsWith(long)).toBe(true);
  });

  test('has no room for anything but digits and a host name', () => {
    const smsText = createSmsText({ domain: 'a.example' });
    for (const code of ['', '123', 'abcdef', '123456\nhttps://x.example', '12345678901']) {
      expect(() => smsText(english, { purpose: 'login', code })).toThrow(RangeError);
    }
    for (const domain of ['', 'a b', 'a.example #1', 'A.example', 'exämple.com', `${'a'.repeat(64)}`, 'a.']) {
      expect(() => createSmsText({ domain })).toThrow(/domain/);
    }
  });
});
