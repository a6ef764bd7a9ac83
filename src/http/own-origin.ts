/** Refuses a request that another site made a browser send with our cookie. Cookies alone never prove intent. */
import type { FastifyRequest } from 'fastify';
import type { Config } from '../config/index.ts';
import { Problem } from '../kernel/problems.ts';

/**
 * For every write that a cookie authenticates. Browsers say where a write comes from (`Origin`, `Sec-Fetch-Site`) and
 * pages cannot change that; a client that says neither is no browser and has the cookie in its own hands.
 * @throws Problem foreign_origin
 */
export function requireOwnOrigin(
  request: FastifyRequest,
  { publicUrl, frontendUrl, cors }: Pick<Config, 'publicUrl' | 'frontendUrl' | 'cors'>,
): void {
  const { origin, host, 'sec-fetch-site': site } = request.headers;
  const sameSite = site === undefined || site === 'same-origin' || site === 'none';
  if (origin === undefined) {
    if (!sameSite) throw new Problem('foreign_origin');
    return;
  }
  const listed = [publicUrl, frontendUrl].map((url) => new URL(url).origin).concat(cors.origins);
  if (listed.includes(origin)) return;
  // Reached under another of our names (127.0.0.1 for localhost): the browser itself vouches for it.
  const ownName = URL.canParse(origin) && new URL(origin).host === host;
  if (!(ownName && site === 'same-origin')) throw new Problem('foreign_origin');
}
