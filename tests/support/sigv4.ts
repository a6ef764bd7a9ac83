/** AWS Signature Version 4, computed from its specification to judge requests by. */
import { createHash, createHmac } from 'node:crypto';

export type SignedRequest = {
  method: string;
  path: string;
  query: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: string;
};

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** The signature in hexadecimal. `scope`: date, region and service. */
export function sigv4(
  request: SignedRequest,
  {
    secret,
    scope,
    signedHeaders,
  }: { secret: string; scope: [string, string, string]; signedHeaders: string[] },
): string {
  const { method, path, query, headers, body } = request;
  const canonicalHeaders = signedHeaders.map((name) => `${name}:${(headers[name] ?? '').trim()}\n`).join('');
  const canonical = [method, path, query, canonicalHeaders, signedHeaders.join(';'), sha256(body)].join('\n');
  const [date, region, service] = scope;
  const credential = `${date}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], credential, sha256(canonical)].join('\n');
  const key = [date, region, service, 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${secret}`);
  return hmac(key, toSign).toString('hex');
}
