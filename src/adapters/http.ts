/**
 * The one way adapters call out over HTTP: bounded in time and size, no redirects, https unless loopback.
 * An error must never quote the address, the request or the answer: they hold secrets and personal data.
 */
import type { z } from 'zod';
import { DeliveryError } from './ports.ts';

export type HttpClientOptions = {
  /** Names the provider in errors, for example `sms provider`. */
  name: string;
  /** Milliseconds for connecting, sending and reading the whole answer; 5 s. */
  timeoutMs?: number;
  /** Bytes of a (decompressed) answer; 256 KiB. */
  maxAnswerBytes?: number;
};

export type HttpPost = { url: string; headers: Record<string, string>; body: string };
export type HttpAnswer = { status: number; body: string };
export type HttpClient = { post(request: HttpPost): Promise<HttpAnswer> };

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Also for other transports: whether plain text to this host stays on the machine. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host) || host === '::1';

/** @throws Error at wiring time for anything but https (or loopback http) without credentials, query and fragment. */
export function providerUrl(base: string, path = ''): string {
  const url = URL.parse(base);
  if (!url) throw new Error('A provider address is not a URL');
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  if (!secure) throw new Error('A provider address must use https');
  if (url.username || url.password || url.search || url.hash) {
    throw new Error('A provider address must not carry credentials, a query or a fragment');
  }
  return (path ? url.href.replace(/\/+$/, '') : url.href) + path;
}

/**
 * `post` answers 2xx only. Everything else is a `DeliveryError`, retryable for network failures, timeouts, 401, 403,
 * 408, 429 and 5xx; an answer that is too large is final, because the provider has accepted the request by then.
 */
export function createHttpClient({
  name,
  timeoutMs = 5_000,
  maxAnswerBytes = 256 * 1024,
}: HttpClientOptions): HttpClient {
  return {
    async post({ url, headers, body }) {
      const request = {
        method: 'POST',
        headers: { 'accept-encoding': 'identity', ...headers },
        body,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      } as const;
      const response = await fetch(providerUrl(url), request).catch((cause) => {
        throw unreachable(name, cause);
      });
      if (!response.ok) {
        await response.body?.cancel().catch(() => {});
        throw new DeliveryError(`${name} answered ${response.status}`, isTransient(response.status));
      }
      return { status: response.status, body: await readBounded(response, name, maxAnswerBytes) };
    },
  };
}

/** The answer as the provider documents it. @throws DeliveryError (final) when it does not parse. */
export function readJson<T extends z.ZodType>(answer: HttpAnswer, schema: T, name: string): z.output<T> {
  const parsed = schema.safeParse(parseJson(answer.body));
  if (!parsed.success) throw new DeliveryError(`${name} answered something else than documented`, false);
  return parsed.data;
}

/** 401 and 403 are about our credentials or our sender: once those are right, the same message goes through. */
const isTransient = (status: number): boolean => status >= 500 || [401, 403, 408, 429].includes(status);

const unreachable = (name: string, cause: unknown): DeliveryError =>
  cause instanceof DOMException && cause.name === 'TimeoutError'
    ? new DeliveryError(`${name} did not answer in time`, true)
    : new DeliveryError(`${name} could not be reached`, true, { cause });

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readBounded(response: Response, name: string, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength;
      if (size > maxBytes) break; // leaving the loop cancels the stream
      chunks.push(chunk);
    }
  } catch (cause) {
    throw unreachable(name, cause);
  }
  if (size > maxBytes) throw new DeliveryError(`${name} answered more than ${maxBytes} bytes`, false);
  return Buffer.concat(chunks).toString('utf8');
}
