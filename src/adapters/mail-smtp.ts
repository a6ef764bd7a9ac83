/**
 * Mail through an SMTP relay. Recipients are given as objects and checked first, so that no address parsing can turn
 * one recipient into another; files and URLs are never read into a message. Retries belong to the outbox alone.
 */
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
          messageId: `<${id}@${domain}>`,
          signal: AbortSignal.timeout(timeoutMs),
        })
        .catch((cause: unknown) => {
          throw failure(cause);
        });
    },
    close: () => transport.close({ force: true }),
  };
}

/** A 5xx reply (RFC 5321 §4.2.1) is final, except to a login: that is our configuration, not the message. */
function failure(cause: unknown): DeliveryError {
  const { code = 'unknown', responseCode } = cause as { code?: string; responseCode?: number };
  const final = code !== 'EAUTH' && (responseCode ?? 0) >= 500;
  const what = responseCode === undefined ? code : `${code} ${responseCode}`;
  // The cause quotes the recipient, so only its code goes on.
  return new DeliveryError(`mail relay failed: ${what}`, !final);
}
