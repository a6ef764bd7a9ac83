/**
 * SMS through the Twilio Messages API, or any provider that copies it.
 * The API has no idempotency key: a retry after a timeout may send the same code twice, which is harmless.
 */
import { createHttpClient, type HttpClientOptions, providerUrl } from './http.ts';
import type { SmsPort } from './ports.ts';

export type TwilioOptions = {
  /** Default: the provider's own host. */
  baseUrl?: string;
  accountSid: string;
  /** The user name of Basic authentication when an API key is used; default: the account SID. */
  apiKeySid?: string;
  authToken: string;
  /** An E.164 number or alphanumeric sender, or a pool the provider picks from. */
  sender: { from: string } | { messagingServiceSid: string };
  http?: Partial<Pick<HttpClientOptions, 'timeoutMs' | 'maxAnswerBytes'>>;
};

/** POST {base}/2010-04-01/Accounts/{sid}/Messages.json, answered by 201. @throws Error for unusable options. */
export function createTwilioSms(options: TwilioOptions): SmsPort {
  const { accountSid, authToken, sender } = options;
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(accountSid)) throw new Error('The SMS account SID is not valid');
  if (authToken === '') throw new Error('The SMS provider needs an auth token');
  const url = providerUrl(
    options.baseUrl ?? 'https://api.twilio.com',
    `/2010-04-01/Accounts/${accountSid}/Messages.json`,
  );
  const user = options.apiKeySid ?? accountSid;
  const authorization = `Basic ${Buffer.from(`${user}:${authToken}`).toString('base64')}`;
  const http = createHttpClient({ name: 'sms provider', ...options.http });
  const from = 'from' in sender ? { From: sender.from } : { MessagingServiceSid: sender.messagingServiceSid };

  return {
    async send({ to, text }) {
      await http.post({
        url,
        headers: {
          accept: 'application/json',
          authorization,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams({ To: to, ...from, Body: text }).toString(),
      });
    },
  };
}
