/**
 * A KYC provider reached by signed HTTP: 2xx means "accepted", the verdict comes later by webhook.
 * The document number leaves only in the request body; it must never be part of an address, a header or an error.
 */
import { createHttpClient, type HttpClientOptions, providerUrl } from './http.ts';
import type { KycPort } from './ports.ts';
import { signWebhook } from './webhook-signature.ts';

export type HttpKycOptions = {
  url: string;
  /** At least 32 bytes. */
  secret: string;
  now: () => number;
  http?: Partial<Pick<HttpClientOptions, 'timeoutMs' | 'maxAnswerBytes'>>;
};

/** `X-Vestibule-Id` is the outbox id: a provider that deduplicates by it sees one submission. @throws Error for unusable options. */
export function createHttpKyc({ url: address, secret, now, http: bounds }: HttpKycOptions): KycPort {
  const url = providerUrl(address);
  signWebhook({ secret, timestamp: '0', rawBody: '' }); // refuses a weak secret at wiring time
  const http = createHttpClient({ name: 'kyc provider', ...bounds });

  return {
    async submit({ id, applicantId, documentType, documentNumber }) {
      const body = JSON.stringify({
        applicant_id: applicantId,
        document_type: documentType,
        document_number: documentNumber,
      });
      const timestamp = String(Math.floor(now() / 1000));
      await http.post({
        url,
        headers: {
          'content-type': 'application/json',
          'x-vestibule-id': id,
          'x-vestibule-timestamp': timestamp,
          'x-vestibule-signature': signWebhook({ secret, timestamp, rawBody: body }),
        },
        body,
      });
      return null;
    },
  };
}
