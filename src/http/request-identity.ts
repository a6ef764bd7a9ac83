/**
 * Whose idempotency key it is: the caller's, whichever token proves who that is. A credential that is not in force names
 * only itself, so its holder can never reach an answer kept for another caller.
 */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../kernel/problems.ts';
import { networkOf } from './limits/network.ts';
import { bearerOf } from './request-context.ts';
import type { Services } from './services.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The request ends the session it is authenticated by: a repetition comes with a token of a session that is over. */
    endsSession?: boolean;
  }
}

/** Parts that together name one caller. */
export type Identity = readonly [kind: 'user' | 'session' | 'credential' | 'network', name: string];
export type Identify = (request: FastifyRequest) => Promise<Identity>;

/** A credential of a slice's own that tells who repeats a request with an idempotency key. */
export type CredentialReader = {
  /** Name of the security scheme that the routes document. */
  scheme: string;
  /** The credential the request carries, if it does. */
  read(request: FastifyRequest): string | undefined;
  /** Who is behind it; null when it is not in force. */
  identityOf(credential: string): Promise<Identity | null>;
};

type Documented = { security?: readonly Record<string, readonly string[]>[] } | undefined;
type Verifiers = Pick<Services, 'tokens' | 'sessions' | 'clock'>;

/** Only credentials that the route documents count: others may come and go with every request. */
export function createIdentify(s: Verifiers, readers: readonly CredentialReader[]): Identify {
  const now = () => new Date(s.clock.now());

  /** The person behind an access token in force, as `authenticate` would find out. */
  async function byAccessToken(request: FastifyRequest): Promise<Identity | null> {
    try {
      const { sub, sid } = await s.tokens.verifyAccessToken(bearerOf(request) ?? '');
      if (request.routeOptions.config.endsSession) return ['session', sid];
      const live = await s.sessions.live(sid, now());
      return live && sub === `user:${live.account.id}` ? ['user', live.account.id] : null;
    } catch (error) {
      if (error instanceof Problem) return null;
      throw error;
    }
  }

  return async (request) => {
    const { security = [] } = (request.routeOptions.schema as Documented) ?? {};
    const takes = (scheme: string) => security.some((one) => scheme in one);
    const body = (request.body ?? {}) as Record<string, unknown>;
    const inBody = (name: string) => (typeof body[name] === 'string' ? (body[name] as string) : undefined);
    const credential = (text: string): Identity => ['credential', text];
    const authorization = request.headers.authorization?.replace(/^Bearer +/i, '');

    if (takes('bearerAuth') && authorization !== undefined)
      return (await byAccessToken(request)) ?? credential(authorization);
    for (const { scheme, read, identityOf } of readers) {
      const given = takes(scheme) ? read(request) : undefined;
      if (given !== undefined) return (await identityOf(given)) ?? credential(given);
    }
    // The request itself may replace the flow's token, so its repetition is known by the token it was first made with.
    const shown = takes('flowToken') || takes('serviceToken') ? authorization : undefined;
    const carried = shown ?? inBody('flow_token') ?? inBody('token');
    return carried === undefined ? ['network', networkOf(request.ip)] : credential(carried);
  };
}
