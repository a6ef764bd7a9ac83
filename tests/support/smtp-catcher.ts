/** An SMTP server on loopback that keeps every message it is given (RFC 5321: EHLO, AUTH, MAIL, RCPT, DATA, RSET, QUIT, with TLS STARTTLS). */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

export type CaughtMail = { from: string; to: string[]; data: string };

/** Replies to give instead of the usual ones, by verb: `{ RCPT: '550 no such user' }`; an empty one says nothing. */
export type SmtpReplies = Partial<
  Record<'GREETING' | 'EHLO' | 'STARTTLS' | 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'END', string>
>;

/** `implicit`: from the first byte; otherwise offered, and nothing but it is served before it is accepted. */
export type SmtpTls = { key: string; cert: string; implicit: boolean };

export async function smtpCatcher(replies: SmtpReplies = {}, tls?: SmtpTls) {
  const mails: CaughtMail[] = [];
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const encrypted = (socket: Socket) => new TLSSocket(socket, { isServer: true, ...tls });
  const server = createServer((raw) => serve(tls?.implicit ? encrypted(raw) : raw));

  function serve(socket: Socket, greets = true): void {
    sockets.add(socket.setEncoding('utf8'));
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    const secure = socket instanceof TLSSocket;
    const offers = tls !== undefined && !secure;
    const say = (verb: keyof SmtpReplies | null, usual: string) => {
      const reply = (verb && replies[verb]) ?? usual;
      if (reply !== '') socket.write(`${reply}\r\n`);
    };
    let mail: CaughtMail = { from: '', to: [], data: '' };
    let receiving = false;
    let pending = '';

    const command = (line: string) => {
      lines.push(line);
      const argument = /<([^>]*)>/.exec(line)?.[1] ?? '';
      const verb = line.split(' ', 1)[0]?.toUpperCase() ?? '';
      if (offers && !['EHLO', 'STARTTLS', 'QUIT'].includes(verb)) return say(null, '530 STARTTLS first');
      switch (verb) {
        case 'EHLO':
          return say('EHLO', `250-catcher\r\n250 ${offers ? 'STARTTLS' : tls ? 'AUTH PLAIN' : '8BITMIME'}`);
        case 'STARTTLS':
          if (!offers) return say('STARTTLS', '502 not here');
          socket.removeAllListeners('data');
          say(null, '220 go ahead');
          return serve(encrypted(socket), false);
        case 'AUTH':
          return say('AUTH', '235 welcome');
        case 'MAIL':
          mail = { from: argument, to: [], data: '' };
          return say('MAIL', '250 ok');
        case 'RCPT':
          mail.to.push(argument);
          return say('RCPT', '250 ok');
        case 'DATA':
          receiving = (replies.DATA ?? '354').startsWith('354');
          return say('DATA', '354 go on');
        case 'RSET':
          return say(null, '250 ok');
        case 'QUIT':
          say(null, '221 bye');
          return socket.end();
        default:
          return say(null, '502 not here');
      }
    };
    const content = (line: string) => {
      if (line !== '.') {
        mail.data += `${line.startsWith('.') ? line.slice(1) : line}\r\n`;
        return;
      }
      receiving = false;
      if ((replies.END ?? '250').startsWith('250')) mails.push(mail);
      say('END', '250 kept');
    };
    if (greets) say('GREETING', '220 catcher');
    socket.on('data', (chunk) => {
      const parts = (pending + chunk).split('\r\n');
      pending = parts.pop() ?? '';
      for (const line of parts) (receiving ? content : command)(line);
    });
  }
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));

  return {
    mails,
    /** Every command line as received, of what was encrypted in the clear. */
    lines,
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
