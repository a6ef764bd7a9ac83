/**
 * Mail through the SendGrid v3 API. Link rewriting and tracking pixels are switched off: a rewritten reset link would
 * hand its token to a redirector. The API has no idempotency key; the outbox id travels as a custom argument.
 */
import { createHttpClient, type HttpClientOptions, providerUrl } from './http.ts';
import type { MailPort } from './ports.ts';

export type SendgridOptions = {
  /** Default: the provider's own host. */
  baseUrl?: string;
  apiKey: string;
  from: { address: string; name?: string };
  http?: Partial<Pick<HttpClientOptions, 'timeoutMs' | 'maxAnswerBytes'>>;
};

/** POST {base}/v3/mail/send, answered by 202. @throws Error for unusable options. */
export function createSendgridMail(options: SendgridOptions): MailPort {
  if (options.apiKey === '') throw new Error('The mail provider needs an API key');
  const url = providerUrl(options.baseUrl ?? 'https://api.sendgrid.com', '/v3/mail/send');
  const http = createHttpClient({ name: 'mail provider', ...options.http });
  const { address, name } = options.from;

  return {
    async send({ id, to, subject, text, html }) {
      const body = {
        personalizations: [{ to: [{ email: to }], custom_args: { message_id: id } }],
        from: name === undefined ? { email: address } : { email: address, name },
        subject,
        // The API demands text/plain before text/html.
        content: [
          { type: 'text/plain', value: text },
          { type: 'text/html', value: html },
        ],
        tracking_settings: {
          click_tracking: { enable: false, enable_text: false },
          open_tracking: { enable: false },
        },
      };
      await http.post({
        url,
        headers: { authorization: `Bearer ${options.apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    },
  };
}
