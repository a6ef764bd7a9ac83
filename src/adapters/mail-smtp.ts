/**
 * Mail through an SMTP relay. Recipients are given as objects and checked first, so that no address parsing can turn
 * one recipient into another; files and URLs are never read into a message. Retries belong to the outbox alone.
 */
import { domainToASCII } from 'node:url';
import { createTransport } from 'nodemailer';
import { isLoopback } from './http.ts';
import { DeliveryError, type MailPort } from './ports.ts';

export type SmtpOptions = {
  host: string;
  port: number;
  /** `implicit` from the first byte (465), `starttls` required (587), `none` for a relay on the same network. */
  tls: 'implicit' | 'starttls' | 'none';
  /** PEM of a private authority. */
  ca?: string;
  auth?: { user: string; pass: string };
  from: { address: string; name?: string };
  /** Milliseconds for one delivery, connecting included; 10 s. */
  timeoutMs?: number;
  /** Connections kept open; 3. */
  maxConnections?: number;
};

/** One recipient and nothing a parser could read as a list, a group, a comment, a route or a header. */
const ONE_ADDRESS = /^[^\s@<>()[\]:;,"\\]{1,64}@[^\s@<>()[\]:;,"\\]{1,255}$/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const CONTROL = /[\u0000-\u001f\u007f]/;

/** @throws Error when a password would cross a network in the clear. */
export function createSmtpMail(options: SmtpOptions): MailPort {
  const { host, port, tls, auth, from, timeoutMs = 10_000 } = options;
  if (auth && tls === 'none' && !isLoopback(host)) {
    throw new Error('SMTP credentials need TLS unless the relay is on this machine');
  }
  const transport = createTransport({
    pool: true,
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    tls: { minVersion: 'TLSv1.2', ...(options.ca === undefined ? {} : { ca: options.ca }) },
    ...(auth ? { auth } : {}),
    maxConnections: options.maxConnections ?? 3,
    maxRequeues: 0,
    dnsTimeout: timeoutMs,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    idleTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  // Without a listener an idle connection that breaks would end the process; a delivery reports its own failure.
  transport.on('error', () => {});
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1);
  const secrets = auth ? [auth.user, auth.pass] : [];

  return {
    async send({ id, to, subject, text, html }) {
      if (!ONE_ADDRESS.test(to) || CONTROL.test(subject)) {
        throw new DeliveryError('mail relay: the message cannot be addressed safely', false);
      }
      await transport
        .sendMail({
          from: { name: from.name ?? '', address: from.address },
          to: { name: '', address: to },
          subject,
          text,
          html,
          messageId: messageIdOf(id, domain),
          signal: AbortSignal.timeout(timeoutMs),
        })
        .catch((cause: unknown) => {
          throw failure(cause, secrets);
        });
    },
    close: () => transport.close({ force: true }),
  };
}

/** Characters of an atom (RFC 5322 §3.2.3). */
const NOT_ATEXT = /[^A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+/g;

/** Two dot-atoms (RFC 5322 §3.6.4): the ids of the outbox contain colons, and a domain may be written in any script. */
export function messageIdOf(id: string, domain: string): string {
  const dotAtom = (text: string): string => text.split(NOT_ATEXT).filter(Boolean).join('.');
  return `<${dotAtom(id) || 'message'}@${dotAtom(domainToASCII(domain) || domain) || 'localhost'}>`;
}

type SmtpError = { code?: string; command?: string; responseCode?: number; response?: string };

/** What a reply to RCPT says about us and not about this recipient: log in first, or X.7.Z, a policy (RFC 3463 §3.8). */
const ABOUT_US = /^(?:5(?:03|30|34|35|38)\b|5\d\d[ -]5\.7\.)/;
const TOO_BIG = /^552[ -]5\.3\.4\b/;

/** Only a 5xx (RFC 5321 §4.2.1) to the recipient or to the message itself. All else is the relay's state or our settings. */
function isFinal({ code, command, responseCode = 0, response = '' }: SmtpError): boolean {
  // The relay has said how much it takes, and this is more.
  if (command === 'MAIL FROM') return code === 'EMESSAGE' || TOO_BIG.test(response);
  if (responseCode < 500) return false;
  if (command === 'RCPT TO') return !ABOUT_US.test(response);
  return command === 'DATA' && !/^5(?:03|30)\b/.test(response);
}

/**
 * Names the stage, the codes and, until a recipient was named, the relay's own words. Later they may quote the
 * recipient or the message, so only the codes go on; a login's name and password never do.
 */
function failure(cause: unknown, secrets: string[]): DeliveryError {
  const error = cause as SmtpError & Error;
  const { code = 'unknown', command = '', response = '' } = error;
  const early = !/^(RCPT TO|DATA|API|)$/.test(command);
  const codes = /^\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3}\b)?/.exec(response)?.[0] ?? '';
  let words = early ? response || (error.message ?? '') : codes;
  for (const secret of secrets) if (secret !== '') words = words.replaceAll(secret, '…');
  words = words.replace(/[^\x20-\x7e…]+/g, ' ').slice(0, 120);
  const reason = [code, command && `at ${command}`, words].filter(Boolean).join(' ');
  return new DeliveryError(`mail relay failed: ${reason}`, !isFinal(error));
}
