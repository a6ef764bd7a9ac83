import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createSendgridMail } from '../../src/adapters/mail-sendgrid.ts';
import { createSmtpMail, type SmtpOptions } from '../../src/adapters/mail-smtp.ts';
import type { MailPort } from '../../src/adapters/ports.ts';
import { selfSigned } from '../support/certificate.ts';
import { type SmtpReplies, smtpCatcher } from '../support/smtp-catcher.ts';
import { answer, recordingServer } from './recording-server.ts';

const message = {
  id: '0190f3c4-0000-7000-8000-000000000001',
  to: 'person@example.com',
  subject: 'Your code',
  text: 'Your code is 123456.\n.hidden dot line',
  html: '<p>Your code is <b>123456</b>.</p>',
};

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

describe('the SMTP adapter', () => {
  async function relay(replies: SmtpReplies = {}, options: Partial<SmtpOptions> = {}) {
    const catcher = await smtpCatcher(replies);
    const mail: MailPort = createSmtpMail({
      host: '127.0.0.1',
      port: catcher.port,
      tls: 'none',
      from: { address: 'no-reply@vestibule.example', name: 'Vestibule' },
      ...options,
    });
    cleanup.push(() => catcher.close());
    cleanup.push(() => mail.close?.());
    return { catcher, mail };
  }

  test('delivers text and HTML to one recipient', async () => {
    const { catcher, mail } = await relay();
    await mail.send({ ...message, code: '123456' });
    expect(catcher.mails).toHaveLength(1);
    const [caught] = catcher.mails;
    expect(caught).toMatchObject({ from: 'no-reply@vestibule.example', to: ['person@example.com'] });
    expect(caught?.data).toContain('From: Vestibule <no-reply@vestibule.example>\r\n');
    expect(caught?.data).toContain('To: person@example.com\r\n');
    expect(caught?.data).toContain('Subject: Your code\r\n');
    expect(caught?.data).toContain('Your code is 123456.\r\n.hidden dot line');
    expect(caught?.data).toContain('<p>Your code is <b>123456</b>.</p>');
  });

  test('gives a retried delivery the same message id', async () => {
    const { catcher, mail } = await relay();
    await mail.send(message);
    await mail.send(message);
    const ids = catcher.mails.map((m) => /^Message-ID: (.*)$/im.exec(m.data)?.[1]?.trim());
    expect(ids).toEqual([`<${message.id}@vestibule.example>`, `<${message.id}@vestibule.example>`]);
  });

  test('keeps the connection for the next mail', async () => {
    const { catcher, mail } = await relay();
    for (let i = 0; i < 3; i++) await mail.send(message);
    expect(catcher.mails).toHaveLength(3);
    expect(catcher.lines.filter((line) => line.startsWith('EHLO'))).toHaveLength(1);
  });

  test.each([
    'a@example.com, b@example.org',
    'a@example.com;b@example.org',
    'Name <a@example.com>',
    'group: a@example.com;',
    '"a@example.org"@example.com',
    'a@example.com\r\nRCPT TO:<b@example.org>',
    'a@[b@example.org]',
    'a(b@example.org)@example.com',
    'no-address',
    '',
  ])('never lets %j choose a recipient', async (to) => {
    const { catcher, mail } = await relay();
    await expect(mail.send({ ...message, to })).rejects.toMatchObject({
      name: 'DeliveryError',
      retry: false,
    });
    expect(catcher.lines).toEqual([]);
  });

  test('refuses a subject that would begin another header', async () => {
    const { catcher, mail } = await relay();
    const sent = mail.send({ ...message, subject: 'Hello\r\nBcc: b@example.org' });
    await expect(sent).rejects.toMatchObject({ retry: false });
    expect(catcher.lines).toEqual([]);
  });

  test('sends text that looks like a path or an address as text', async () => {
    const { catcher, mail } = await relay();
    await mail.send({ ...message, text: '/etc/passwd', html: 'http://127.0.0.1:9/secret' });
    expect(catcher.mails[0]?.data).toContain('\r\n/etc/passwd\r\n');
    expect(catcher.mails[0]?.data).toContain('http://127.0.0.1:9/secret');
  });

  const LOGIN: Partial<SmtpOptions> = { auth: { user: 'relay-user', pass: 'relay-pass' } };
  const OFFERS_LOGIN = '250-catcher\r\n250 AUTH PLAIN';

  test.each<[string, SmtpReplies, Partial<SmtpOptions>, RegExp]>([
    [
      'greeting with 554',
      { GREETING: '554 5.7.1 no service here' },
      {},
      /EPROTOCOL at CONN .*554 5.7.1 no service/,
    ],
    ['greeting with 421', { GREETING: '421 4.3.2 too busy' }, {}, /421 4.3.2 too busy/],
    ['EHLO with 550', { EHLO: '550 5.7.0 not you' }, {}, /at (EHLO|HELO)/],
    [
      'STARTTLS with 554',
      { EHLO: '250-catcher\r\n250 STARTTLS', STARTTLS: '554 5.7.0 no' },
      { tls: 'starttls' },
      /ETLS at STARTTLS 554 5.7.0 no/,
    ],
    [
      'login with 535',
      { EHLO: OFFERS_LOGIN, AUTH: '535 5.7.8 relay-user: no' },
      LOGIN,
      /EAUTH at AUTH PLAIN 535 5.7.8 …: no/,
    ],
    [
      'sender with 550',
      { MAIL: '550 5.1.8 sender domain unknown' },
      {},
      /EENVELOPE at MAIL FROM 550 5.1.8 sender domain/,
    ],
    ['sender with 530', { MAIL: '530 5.7.0 log in first' }, {}, /at MAIL FROM 530 5.7.0 log in first/],
    ['recipient with 530', { RCPT: '530 5.7.0 log in first' }, {}, /at RCPT TO 530 5.7.0$/],
    [
      'recipient with 554 of a policy',
      { RCPT: '554 5.7.1 relay access denied' },
      {},
      /at RCPT TO 554 5.7.1$/,
    ],
    ['recipient with 450', { RCPT: '450 4.2.1 mailbox busy' }, {}, /at RCPT TO 450 4.2.1$/],
    ['DATA with 451', { DATA: '451 4.3.0 later' }, {}, /at DATA 451 4.3.0$/],
    ['message with 451', { END: '451 4.3.0 try later' }, {}, /at DATA 451 4.3.0$/],
  ])(
    'a relay that refuses the %s is asked again, and the reason is named',
    async (_stage, replies, options, reason) => {
      const { catcher, mail } = await relay(replies, options);
      const error = await mail.send(message).then(
        () => expect.unreachable(),
        (e) => e,
      );
      expect(error).toMatchObject({
        name: 'DeliveryError',
        retry: true,
        message: expect.stringMatching(reason),
      });
      expect(catcher.mails).toEqual([]);
    },
  );

  test.each<[string, SmtpReplies]>([
    ['recipient with 550', { RCPT: '550 5.1.1 no such user' }],
    ['recipient with 553', { RCPT: '553 5.1.3 bad address' }],
    ['size with 552', { MAIL: '552 5.3.4 too big' }],
    ['DATA with 554', { DATA: '554 5.5.1 no valid recipients' }],
    ['message with 552', { END: '552 5.3.4 too big' }],
    ['message with 554', { END: '554 5.7.1 looks like spam' }],
  ])('a relay that refuses the %s is not asked again', async (_stage, replies) => {
    const { catcher, mail } = await relay(replies);
    await expect(mail.send(message)).rejects.toMatchObject({ name: 'DeliveryError', retry: false });
    expect(catcher.mails).toEqual([]);
  });

  test.each([
    ['0190f3c4-0000-7000-8000-000000000001:mail:1', 'no-reply@vestibule.example'],
    ['..a b@c:', 'no-reply@bücher.example'],
    ['', 'no-reply@[127.0.0.1]'],
  ])('the Message-ID of %j from %s is two dot-atoms', async (id, address) => {
    const { catcher, mail } = await relay({}, { from: { address } });
    await mail.send({ ...message, id });
    const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
    expect(catcher.mails[0]?.data).toMatch(
      new RegExp(`^Message-ID: <${atom}(\\.${atom})*@${atom}(\\.${atom})*>\\r$`, 'm'),
    );
  });

  test('an error does not name the recipient', async () => {
    const { mail } = await relay({ RCPT: '550 5.1.1 person@example.com unknown' });
    const error: Error = await mail.send(message).then(
      () => expect.unreachable(),
      (e) => e,
    );
    expect(`${error.message}${String(error.cause)}`).not.toContain('person');
    expect(error.message).toContain('550');
  });

  test.each<[string, SmtpReplies]>([
    ['greets nobody', { GREETING: '' }],
    ['stalls after the message', { END: '' }],
  ])('gives up in time on a relay that %s', async (_name, replies) => {
    const { mail } = await relay(replies, { timeoutMs: 150 });
    const started = performance.now();
    await expect(mail.send(message)).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('gives up in time on a relay that trickles its replies', async () => {
    const timers: NodeJS.Timeout[] = [];
    const trickle = createServer((socket) => {
      socket.on('error', () => {}).write('220 slow\r\n');
      timers.push(setInterval(() => socket.write('250-more\r\n'), 20));
    });
    await new Promise<void>((listening) => trickle.listen(0, '127.0.0.1', listening));
    const { mail } = await relay({}, { port: (trickle.address() as AddressInfo).port, timeoutMs: 200 });
    cleanup.push(() => {
      timers.forEach(clearInterval);
      trickle.close();
    });
    const started = performance.now();
    await expect(mail.send(message)).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('a refused login leaves the mail in the outbox: it is the configuration that is wrong', async () => {
    const { catcher, mail } = await relay(
      { EHLO: '250-catcher\r\n250 AUTH PLAIN', AUTH: '535 5.7.8 bad credentials' },
      { auth: { user: 'relay-user', pass: 'relay-pass' } },
    );
    await expect(mail.send(message)).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
    expect(catcher.lines).toContain(`AUTH PLAIN ${btoa('\u0000relay-user\u0000relay-pass')}`);
    expect(catcher.mails).toEqual([]);
  });

  describe.each([
    ['starttls', false],
    ['implicit', true],
  ] as const)('over %s', (tls, implicit) => {
    async function encrypted(trusted: (own: string) => string | undefined) {
      const { key, cert } = selfSigned();
      const catcher = await smtpCatcher({}, { key, cert, implicit });
      cleanup.push(() => catcher.close());
      const ca = trusted(cert);
      const mail = createSmtpMail({
        host: '127.0.0.1',
        port: catcher.port,
        tls,
        auth: { user: 'relay-user', pass: 'relay-pass' },
        from: { address: 'no-reply@vestibule.example' },
        timeoutMs: 5_000,
        ...(ca === undefined ? {} : { ca }),
      });
      cleanup.push(() => mail.close?.());
      return { catcher, mail };
    }

    test('logs in and delivers to a relay whose certificate it was told to trust', async () => {
      const { catcher, mail } = await encrypted((own) => own);
      await mail.send(message);
      await mail.send(message);
      expect(catcher.mails).toHaveLength(2);
      expect(catcher.mails[0]).toMatchObject({ to: ['person@example.com'] });
      expect(catcher.mails[0]?.data).toContain('Your code is 123456.');
      const login = catcher.lines.indexOf(`AUTH PLAIN ${btoa('\u0000relay-user\u0000relay-pass')}`);
      expect(login).toBeGreaterThan(catcher.lines.indexOf('STARTTLS'));
      expect(catcher.lines.includes('STARTTLS')).toBe(!implicit);
    });

    test('tells neither the password nor the mail to one whose certificate nobody vouches for', async () => {
      for (const trusted of [() => undefined, () => selfSigned().cert]) {
        const { catcher, mail } = await encrypted(trusted);
        await expect(mail.send(message)).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
        expect(catcher.mails).toEqual([]);
        expect(catcher.lines.filter((line) => /^(AUTH|MAIL)/.test(line))).toEqual([]);
      }
    });
  });

  test('does not fall back to plain text when TLS is required', async () => {
    const { catcher, mail } = await relay({}, { tls: 'starttls', timeoutMs: 1_000 });
    await expect(mail.send(message)).rejects.toMatchObject({ name: 'DeliveryError' });
    expect(catcher.mails).toEqual([]);
    expect(catcher.lines.some((line) => line.startsWith('MAIL'))).toBe(false);
  });

  test('refuses to be wired with a password in the clear', () => {
    const from = { address: 'a@example.com' };
    const auth = { user: 'u', pass: 'p' };
    expect(() => createSmtpMail({ host: 'mail.example.com', port: 25, tls: 'none', auth, from })).toThrow(
      /TLS/,
    );
  });
});

describe('the SendGrid adapter', () => {
  async function provider(status = 202) {
    const server = await recordingServer(answer(status));
    cleanup.push(() => server.close());
    const from = { address: 'no-reply@vestibule.example', name: 'Vestibule' };
    return { server, mail: createSendgridMail({ baseUrl: server.url, apiKey: 'SG.key', from }) };
  }

  test('posts the documented JSON, byte for byte, with tracking off', async () => {
    const { server, mail } = await provider();
    await mail.send({ ...message, text: 'Plain', html: '<p>Rich</p>', code: 'not-for-providers' });
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/v3/mail/send',
      body:
        '{"personalizations":[{"to":[{"email":"person@example.com"}],' +
        '"custom_args":{"message_id":"0190f3c4-0000-7000-8000-000000000001"}}],' +
        '"from":{"email":"no-reply@vestibule.example","name":"Vestibule"},"subject":"Your code",' +
        '"content":[{"type":"text/plain","value":"Plain"},{"type":"text/html","value":"<p>Rich</p>"}],' +
        '"tracking_settings":{"click_tracking":{"enable":false,"enable_text":false},' +
        '"open_tracking":{"enable":false}}}',
    });
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer SG.key',
      'content-type': 'application/json',
    });
  });

  test.each([
    [503, true],
    [429, true],
    [400, false],
    [401, true],
    [403, true],
    [413, false],
  ])('%i is retryable: %s', async (status, retry) => {
    const { mail } = await provider(status);
    await expect(mail.send(message)).rejects.toMatchObject({ name: 'DeliveryError', retry });
  });
});
