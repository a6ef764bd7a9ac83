/**
 * Reads what proxies write into X-Forwarded-For: addresses with ports, IPv6 in brackets, quotes. Whether a proxy is
 * believed is decided elsewhere; an entry that is no address must never stand for all people at once.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** `1.2.3.4:5`, `[::1]:5`, `[::1]`, `"::1"`: the address; null for anything else. */
function forwardedAddress(entry: string): string | null {
  const bare = entry.trim().replace(/^"(.*)"$/, '$1');
  const [, bracketed, v4] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(bare) ?? [];
  const address = bracketed ?? v4 ?? bare;
  return isIP(address) === 0 ? null : address;
}

/** A network of its own in the documentation prefix (RFC 3849), where no person is. */
const unknownNetwork = (): string =>
  `2001:db8:${randomBytes(2).toString('hex')}:${randomBytes(2).toString('hex')}::1`;

/** Rewrites the header before anything reads `request.ip`. Register it first, and only where proxies are trusted. */
export function readForwarded(app: FastifyInstance): void {
  let warned = false;
  app.addHook('onRequest', async (request) => {
    const { headers } = request.raw;
    const header = headers['x-forwarded-for'];
    if (typeof header !== 'string') return;
    const unknown = unknownNetwork();
    headers['x-forwarded-for'] = header
      .split(',')
      .filter((entry) => entry.trim() !== '')
      .map((entry) => forwardedAddress(entry) ?? unknown)
      .join(', ');
    if (warned || request.ip !== unknown) return;
    warned = true;
    request.log.warn(
      'a trusted proxy sends an X-Forwarded-For that is no address: limits by network do not apply to its requests',
    );
  });
}
