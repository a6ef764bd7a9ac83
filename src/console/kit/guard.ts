/**
 * Who may reach the console: this machine's own names, pages of the console itself, and in production whoever signed in
 * with the admin token. Every answer carries a policy under which injected markup could load or run nothing.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
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
  /** Bound to the admin token, so that another one ends every session. */
  const seal = (text: string): string =>
    createHmac('sha256', keyring.key('cursor'))
      .update(`console/${text}/${s.adminToken ?? ''}`)
      .digest('base64url');

  const signedIn = (request: FastifyRequest): boolean => {
    const cookies = (request.headers.cookie ?? '').split(/; ?/);
    const given = cookies.find((c) => c.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1) ?? '';
    const [expires = '', seal_ = ''] = given.split('.');
    return Number(expires) > clock.now() && same(seal_, seal(`session/${expires}`));
  };

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
    signedIn,
    /** Goes into every form of ours; a page of another origin cannot read it. */
    formToken: seal('form'),
    checkForm(token: unknown): void {
      if (typeof token !== 'string' || !same(token, this.formToken)) throw new Problem('foreign_origin');
    },
    /** @throws Problem invalid_credentials */
    signIn(reply: FastifyReply, token: string): void {
      if (s.adminToken === null || !same(token, s.adminToken)) throw new Problem('invalid_credentials');
      const expires = String(clock.now() + SESSION_MS);
      reply.header('set-cookie', cookie(`${expires}.${seal(`session/${expires}`)}`, SESSION_MS / 1000));
    },
    signOut(reply: FastifyReply): void {
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
        if (production && !open && !signedIn(request)) return reply.redirect('/console/login', 303);
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
