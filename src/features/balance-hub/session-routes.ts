/** `/balance_hub` behind its cookie: log in, log out, change one's own name. The session decides, never the cookie. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { LoginContext } from '../../../machines/login.ts';
import { openToken, problemsFor } from '../../http/flow-answers.ts';
import { typedCode } from '../../http/inputs.ts';
import { callerOf, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { parseEmail } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import { logInByPassword } from '../login/password-login.ts';
import {
  hubLoginAnswer,
  hubLoginBody,
  hubMessageAnswer,
  hubUpdateAnswer,
  hubUpdateBody,
  hubUserContract,
  requireGranted,
  wrongSecondFactor,
} from './contract.ts';
import { renamePerson } from './rename.ts';
import {
  authenticateByCookie,
  clearSessionCookie,
  cookieEnd,
  sessionOfCookie,
  setSessionCookie,
} from './session-cookie.ts';

export const balanceHubSessionRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const tags = ['balance_hub'];
    const userOf = async (accountId: string) => {
      const person = await s.users.person(accountId);
      if (!person) throw new Problem('invalid_token');
      return hubUserContract(person);
    };

    app.post(
      '/balance_hub/auth/login',
      {
        config: { sends: { machine: 'login', event: 'PRIMARY_PROVED', offered: false } },
        schema: {
          summary: 'Log in with a password; the session goes into a cookie',
          description:
            'Wrong credentials and an address that still waits for its code are a 401; a second factor that is due is a 403 with the detail `2FA_REQUIRED`, without a cookie. The HttpOnly cookie `access_token` names the session, which ends with the cookie; whatever ends the session ends it at once.',
          tags,
          security: [],
          body: hubLoginBody,
          response: { 200: hubLoginAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const contactId = s.keyring.lookupId('email', parseEmail(body.email).canonical);
        const caller = callerOf(request, s, { deviceId: body.device_fingerprint });
        await s.limits.passwordLogin({ network: caller.network }, caller);
        const endsAt = cookieEnd(s.config, caller.now);
        const { flow } = await logInByPassword(
          s,
          {
            contactId,
            password: body.password,
            persistent: false,
            endsAt,
            code: body.totp_code ? typedCode(body.totp_code) : null,
          },
          caller,
        ).catch((error) => {
          throw wrongSecondFactor(error);
        });
        requireGranted(flow, offerOf(s, caller), openToken(s, flow));
        const user = await userOf(flow.accountId ?? '');
        const { sessionId } = flow.context as unknown as LoginContext;
        setSessionCookie(reply, s, sessionId, caller.now);
        return { user, message: 'Logged in.' };
      },
    );

    app.post(
      '/balance_hub/auth/logout',
      {
        schema: {
          summary: 'Log out: the session of the cookie ends, and the cookie goes',
          description: 'The same answer without a cookie, and with one that is no longer valid.',
          tags,
          security: [{ balanceHubCookie: [] }, {}],
          response: { 200: hubMessageAnswer, ...problemsFor(400, 401, 403, 429, 503) },
        },
      },
      async (request, reply) => {
        const live = await sessionOfCookie(request, s);
        if (live) {
          const { accountId, id: sessionId } = live.session;
          await s.sessionEnds.end(
            { accountId, sessionId, which: 'this', reason: 'logout', event: { type: 'user.logout' } },
            callerOf(request, s),
          );
        }
        clearSessionCookie(reply, s.config);
        return { message: 'Logged out.' };
      },
    );

    app.put(
      '/balance_hub/auth/update-user',
      {
        schema: {
          summary: 'Change one’s username or full name',
          description:
            '`password` and `email` are accepted and never applied: they change by proof only, see `POST /v1/users/change-password` and `POST /v1/users/me/contacts`.',
          tags,
          security: [{ balanceHubCookie: [] }],
          body: hubUpdateBody,
          response: { 200: hubUpdateAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request) => {
        const { account } = await authenticateByCookie(request, s);
        const { username, full_name: name } = request.body;
        await renamePerson(s, account, { username, name: name ?? undefined }, callerOf(request, s));
        return userOf(account.id);
      },
    );
  };
