/**
 * Who may reach the console: this machine's own names, pages of the console itself, and in production whoever signed in
 * with the admin token. Every answer carries a policy under which injected markup could load or run nothing.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createConsoleSessionStore } from '../../../db/console-sessions.ts';
import { onlyCookie } from '../../http/cookies.ts';
import { requireOwnHost } from '../../http/own-host.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SESSION_MS = 8 * 3_600_000;

export type Guard = ReturnType<typeof createGuard>;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
const same = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

export function createGuard(s: Services) {
  const { config, keyring, clock } = s;
  const production = config.env === 'production';
  const ownHost = requireOwnHost(config);
  const cookieName = `${config.session.cookiePrefix}vestibule_console`;
  const sessions = createConsoleSessionStore(s.db);
  /** Bound to the admin token, so that another one ends every session. */
  const seal = (text: string): string =>
    createHmac('sha256', keyring.key('cursor'))
      .update(`console/${text}/${s.adminToken ?? ''}`)
      .digest('base64url');

  /** Key of the session that the cookie names; whether it lives is for the store to say. */
  const keyOf = (request: FastifyRequest): string | null => {
    const cookie = onlyCookie(request, cookieName);
    return cookie ? seal(`session/${cookie}`) : null;
  };
  const isSignedIn = async (request: FastifyRequest): Promise<boolean> => {
    const key = keyOf(request);
    return key !== null && (await sessions.live(key, new Date(clock.now())));
  };
  const admitted = new WeakSet<FastifyRequest>();

  const cookie = (value: string, seconds: number): string =>
    [
      `${cookieName}=${value}`,
      'Path=/',
      `Max-Age=${seconds}`,
      'HttpOnly',
      'SameSite=Strict',
      ...(config.session.cookieSecure ? ['Secure'] : []),
    ].join('; ');

  return {
    /** Inbox, demo flows and everything else that acts or shows messages. */
    demoTools: !production,
    needsLogin: production,
    /** As the request was found when it came in. */
    signedIn: (request: FastifyRequest): boolean => admitted.has(request),
    /** For what outlives its request. */
    stillSignedIn: async (request: FastifyRequest): Promise<boolean> =>
      !production || (await isSignedIn(request)),
    /** Goes into every form of ours; a page of another origin cannot read it. */
    formToken: seal('form'),
    checkForm(token: unknown): void {
      if (typeof token !== 'string' || !same(token, this.formToken)) throw new Problem('foreign_origin');
    },
    /** @throws Problem invalid_credentials */
    async signIn(reply: FastifyReply, token: string): Promise<void> {
      if (s.adminToken === null || !same(token, s.adminToken)) throw new Problem('invalid_credentials');
      const value = randomBytes(32).toString('base64url');
      const now = clock.now();
      await sessions.open(seal(`session/${value}`), new Date(now), new Date(now + SESSION_MS));
      reply.header('set-cookie', cookie(value, SESSION_MS / 1000));
    },
    /** The session is over, whoever else still has its cookie. */
    async signOut(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      const key = keyOf(request);
      if (key !== null) await sessions.end(key);
      reply.header('set-cookie', cookie('', 0));
    },

    /** For the whole scope of the console. */
    install(scope: FastifyInstance): void {
      scope.addHook('onRequest', async (request, reply) => {
        reply.headers({
          'content-security-policy': POLICY,
          'cross-origin-opener-policy': 'same-origin',
          // With no-referrer browsers send `Origin: null` with our own forms.
          'referrer-policy': 'same-origin',
        });
        await ownHost(request);
        refuseForeign(request);
        const open = /^\/console\/(login|assets\/)/.test(request.url);
        if (production && (await isSignedIn(request))) admitted.add(request);
        if (production && !open && !admitted.has(request)) return reply.redirect('/console/login', 303);
      });
    },
  };
}

/** Links from anywhere may open a page; nothing else may come from another site, and a change only from here. */
function refuseForeign({ method, headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'];
  const opensPage = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  const ours = site === undefined || site === 'same-origin' || site === 'none';
  const reads = method === 'GET' || method === 'HEAD';
  if (!ours && !(reads && opensPage)) throw new Problem('foreign_origin');
  if (reads || headers.origin === undefined) return;
  if (!sameOrigin(headers.origin, headers.host ?? '')) throw new Problem('foreign_origin');
}

/** Ports that go without saying are written by some and left out by others. */
function sameOrigin(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: given } = new URL(origin);
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === given;
}
