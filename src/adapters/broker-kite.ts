/**
 * Kite Connect v3: session exchange, profile, invalidation. Bounded in time and size, no redirects; only the profile is
 * asked again after a failure. Keys, secrets and tokens must never be part of an address that is logged, or of an error.
 */
import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type Dispatcher, request } from 'undici';
import { z } from 'zod';
import { providerUrl } from './http.ts';
import { type BrokerPort, BrokerRefused, type BrokerToken, BrokerUnavailable } from './ports.ts';

export type KiteOptions = {
  baseUrl: string;
  /** Milliseconds for one call with all its repetitions. */
  timeoutMs: number;
  /** Repetitions of a safe call. */
  maxRetries: number;
};

const DAY_MS = 86_400_000;
/** Access tokens end at 06:00 in Asia/Kolkata, which is 00:30 UTC all year. */
const END_OF_DAY_MS = 30 * 60_000;
const MAX_ANSWER_BYTES = 256 * 1024;
const FIRST_PAUSE_MS = 200;
/** After a 429 that names no time. */
const LIMIT_PAUSE_S = 1;

/** The next end of all access tokens after `now`. */
export const nextTokenEnd = (now: number): number =>
  (Math.floor((now - END_OF_DAY_MS) / DAY_MS) + 1) * DAY_MS + END_OF_DAY_MS;

const userId = z.string().min(1).max(64);
const session = z.object({
  status: z.literal('success'),
  data: z.object({ user_id: userId, access_token: z.string().min(1).max(512) }),
});
const profile = z.object({ status: z.literal('success'), data: z.object({ user_id: userId }) });
const invalidated = z.object({ status: z.literal('success') });
const refusal = z.object({ status: z.literal('error'), error_type: z.string().regex(/^[A-Za-z]{1,40}$/) });

/** Errors of the caller's own input or session; everything else says nothing about the credentials. */
const REFUSALS = new Set(['TokenException', 'InputException', 'UserException', 'PermissionException']);

type Call<T> = {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  form?: Record<string, string>;
  token?: BrokerToken;
  schema: z.ZodType<T>;
};

export function createKiteBroker({
  baseUrl,
  timeoutMs,
  maxRetries,
}: KiteOptions): BrokerPort & { close(): Promise<void> } {
  const base = providerUrl(baseUrl).replace(/\/+$/, '');
  const agent = new Agent({ connect: { timeout: timeoutMs }, maxResponseSize: MAX_ANSWER_BYTES });

  async function once<T>(
    { method, path, query, form, token, schema }: Call<T>,
    signal: AbortSignal,
  ): Promise<T> {
    let answer: Dispatcher.ResponseData;
    let text: string;
    try {
      answer = await request(base + path, {
        method,
        dispatcher: agent,
        ...(query ? { query } : {}),
        headers: {
          'x-kite-version': '3',
          ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
          ...(token ? { authorization: `token ${token.apiKey}:${token.accessToken}` } : {}),
        },
        body: form ? new URLSearchParams(form).toString() : null,
        signal,
      });
      text = await answer.body.text();
    } catch (cause) {
      const late = signal.aborted ? 'did not answer in time' : 'could not be reached';
      throw new BrokerUnavailable(`Kite ${late}`, null, { cause: (cause as { code?: string }).code });
    }
    const { statusCode: status } = answer;
    if (status === 429)
      throw new BrokerUnavailable('Kite answered 429', retryAfterOf(answer.headers) ?? LIMIT_PAUSE_S);
    const body = parseJson(text);
    const refused = refusal.safeParse(body);
    if ((status === 400 || status === 401 || status === 403) && refused.success) {
      const { error_type: type } = refused.data;
      if (REFUSALS.has(type)) throw new BrokerRefused(`Kite answered ${status} ${type}`);
    }
    const parsed = schema.safeParse(body);
    if (status !== 200 || !parsed.success) throw new BrokerUnavailable(`Kite answered ${status}`);
    return parsed.data;
  }

  /** All tries share one span of time. A refusal is never tried again, nor is a call that changes something. */
  async function call<T>(wanted: Call<T>): Promise<T> {
    const ends = performance.now() + timeoutMs;
    const signal = AbortSignal.timeout(timeoutMs);
    for (let tried = 0; ; tried++) {
      try {
        return await once(wanted, signal);
      } catch (error) {
        if (!(error instanceof BrokerUnavailable) || wanted.method !== 'GET' || tried >= maxRetries)
          throw error;
        const jittered = FIRST_PAUSE_MS * 2 ** tried * (0.5 + Math.random() / 2);
        const pause = error.retryAfterS === null ? jittered : Math.max(jittered, error.retryAfterS * 1000);
        if (performance.now() + pause >= ends) throw error;
        await delay(pause);
      }
    }
  }

  return {
    async exchange({ apiKey, apiSecret, requestToken }) {
      const checksum = hash('sha256', apiKey + requestToken + apiSecret, 'hex');
      const form = { api_key: apiKey, request_token: requestToken, checksum };
      const { data } = await call({ method: 'POST', path: '/session/token', form, schema: session });
      return { accessToken: data.access_token, userId: data.user_id };
    },
    async profile(token) {
      const { data } = await call({ method: 'GET', path: '/user/profile', token, schema: profile });
      return { userId: data.user_id };
    },
    async invalidate(token) {
      const query = { api_key: token.apiKey, access_token: token.accessToken };
      await call({ method: 'DELETE', path: '/session/token', query, token, schema: invalidated });
    },
    endOf: nextTokenEnd,
    close: () => agent.close(),
  };
}

function retryAfterOf(headers: Dispatcher.ResponseData['headers']): number | null {
  const value = String(headers['retry-after'] ?? '');
  return /^\d{1,5}$/.test(value) ? Number(value) : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
