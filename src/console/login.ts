/** Signing in to the console with the admin token, where the deployment is production. Nowhere else does it exist. */
import type { FastifyInstance } from 'fastify';
import { networkOf } from '../http/limits/network.ts';
import { Problem } from '../kernel/problems.ts';
import type { Console } from './kit/context.ts';
import { type Html, html } from './kit/html.ts';

const page = (formToken: string, notice: string): Html => html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Sign in · Vestibule</title><link rel="icon" href="/console/assets/favicon.svg" type="image/svg+xml"><link rel="stylesheet" href="/console/assets/console.css"></head>
<body><main class="narrow" id="main"><form class="card" method="post" action="/console/login"><h1>Vestibule console</h1>
${notice ? html`<p class="notice" role="alert">${notice}</p>` : ''}
<input type="hidden" name="form" value="${formToken}">
<label>Admin token <input type="password" name="token" required autocomplete="current-password" autofocus></label>
<button class="primary">Sign in</button></form></main></body></html>
`;

export function loginRoutes(app: FastifyInstance, { s, guard }: Console): void {
  if (!guard.needsLogin) return;
  const form = { config: { formBody: 'only' as const } };
  const type = 'text/html; charset=utf-8';
  const missing = s.adminToken === null ? 'Set ADMIN_TOKEN to allow sign-in.' : '';
  app.get('/console/login', (_request, reply) => reply.type(type).send(page(guard.formToken, missing).text));

  app.post('/console/login', form, async (request, reply) => {
    const body = request.body as { form?: unknown; token?: unknown } | undefined;
    guard.checkForm(body?.form);
    await s.limits.passwordLogin({ network: networkOf(request.ip) });
    try {
      await guard.signIn(reply, typeof body?.token === 'string' ? body.token : '');
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'invalid_credentials')) throw error;
      return reply
        .code(401)
        .type(type)
        .send(page(guard.formToken, missing || 'Wrong admin token.').text);
    }
    return reply.redirect('/console', 303);
  });

  app.post('/console/logout', form, async (request, reply) => {
    guard.checkForm((request.body as { form?: unknown } | undefined)?.form);
    await guard.signOut(request, reply);
    return reply.redirect('/console/login', 303);
  });
}
