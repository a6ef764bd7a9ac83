/**
 * An external risk provider. It learns an age and counters, no birth date and no identifier.
 * Whatever goes wrong is a `DeliveryError`: nothing here may ever turn a failure into ALLOW.
 */
import { z } from 'zod';
import { createHttpClient, type HttpClientOptions, providerUrl, readJson } from './http.ts';
import type { RiskPort } from './ports.ts';
import { ageOn } from './risk-local.ts';

export type HttpRiskOptions = {
  url: string;
  apiKey: string;
  now: () => number;
  http?: Partial<Pick<HttpClientOptions, 'timeoutMs' | 'maxAnswerBytes'>>;
};

/** Reasons are stable codes: they are stored and shown, so free text is refused. */
export const riskAnswerSchema = z.strictObject({
  decision: z.enum(['ALLOW', 'REVIEW', 'BLOCK']),
  reasons: z.array(z.string().regex(/^[a-z0-9_.]{1,64}$/)).max(20),
});

/** POST of JSON with a bearer key; `id` lets a provider deduplicate. @throws Error for unusable options. */
export function createHttpRisk({ url: address, apiKey, now, http: bounds }: HttpRiskOptions): RiskPort {
  if (apiKey === '') throw new Error('The risk provider needs an API key');
  const url = providerUrl(address);
  const name = 'risk provider';
  const http = createHttpClient({ name, ...bounds });

  return {
    async evaluate(subject) {
      const body = JSON.stringify({
        id: subject.id,
        flow_id: subject.flowId,
        stage: subject.stage,
        country: subject.country,
        age: ageOn(subject.birthDate, now()),
        code_retries: subject.codeRetries,
        identifier_blocked: subject.identifier.blocked,
        identifier_flagged: subject.identifier.flagged,
      });
      const answer = await http.post({
        url,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${apiKey}`,
          'content-type': 'application/json',
        },
        body,
      });
      return readJson(answer, riskAnswerSchema, name);
    },
  };
}
