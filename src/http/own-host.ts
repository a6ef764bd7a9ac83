/**
 * Which names a browser may reach this machine's own pages by. A foreign name that resolves here (DNS
 * rebinding) makes a foreign page our origin to the browser, so what shows codes or acts without a credential refuses it.
 */
import type { FastifyRequest } from 'fastify';
import type { Config } from '../config/index.ts';
import { Problem } from '../kernel/problems.ts';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** The name without its port. */
export const hostOf = ({ headers }: Pick<FastifyRequest, 'headers'>): string =>
  (headers.host ?? '').toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');

/** A hook for a whole scope: loopback, `PUBLIC_URL` and `CONSOLE_HOSTS` pass. @throws Problem misdirected_request */
export function requireOwnHost({ publicUrl, console: { hosts } }: Pick<Config, 'publicUrl' | 'console'>) {
  const own = new Set([...LOOPBACK, new URL(publicUrl).hostname, ...hosts]);
  return async (request: FastifyRequest): Promise<void> => {
    if (!own.has(hostOf(request))) throw new Problem('misdirected_request');
  };
}
