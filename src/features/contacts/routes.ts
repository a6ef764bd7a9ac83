/** Addresses and numbers of an account: a new one is proven, the earlier ones get a notice, the last proven one stays. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { authenticate } from '../../http/authenticate.ts';
import { codeOutcome, openToken, problemsFor } from '../../http/flow-answers.ts';
import { flowNamedBy } from '../../http/flow-requests.ts';
import { callerOf, mint, phoneReader } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { requireStepUp } from '../../http/step-up.ts';
import { capitalsOf, parseEmail } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  addContactBody,
  contactStartedAnswer,
  contactsAnswer,
  removeContactBody,
  verifyContactBody,
} from '../account/contract.ts';
import { additionOf, removeContact } from './undo.ts';

export const contactRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const phoneOf = phoneReader(s.config);
    const secured = { tags: ['Users'], security: [{ bearerAuth: [] }] };
    const ttlMs = s.config.flow.challengeTtlS * 1000;
    const listed = async (accountId: string) => ({
      contacts: (await s.users.contactsOf(accountId)).map((c) => ({
        contact_id: c.id,
        type: c.type,
        value: c.value,
        verified_at: c.verifiedAt?.toISOString() ?? null,
        primary: c.isPrimary,
      })),
    });

    /** The canonical contact a caller names, and what limits its codes. */
    const named = (type: 'email' | 'phone', value: string) => {
      if (type === 'email') {
        const email = parseEmail(value);
        return { canonical: email.canonical, value: email.original, capitals: capitalsOf(email), caps: {} };
      }
      const { e164, range, country } = phoneOf(value);
      return { canonical: e164, value: e164, capitals: [], caps: { range, country } };
    };

    app.get(
      '/v1/users/me/contacts',
      {
        schema: {
          summary: 'My addresses and numbers',
          ...secured,
          response: { 200: contactsAnswer, ...problemsFor(401, 429, 503) },
        },
      },
      async (request) => listed((await authenticate(request, s)).account.id),
    );

    app.post(
      '/v1/users/me/contacts',
      {
        config: {
          sends: { machine: 'challenge', event: 'CODE_REQUESTED', for: { purpose: 'contact' } },
          follows: [
            { machine: 'challenge', states: ['expired'], as: 'CODE_REQUESTED', for: { purpose: 'contact' } },
          ],
        },
        schema: {
          summary: 'Add an address or a number: sends a code to it',
          ...secured,
          body: addContactBody,
          response: { 202: contactStartedAnswer, ...problemsFor(400, 401, 429, 503) },
        },
      },
      async (request, reply) => {
        const live = await authenticate(request, s);
        const { account } = live;
        const caller = callerOf(request, s);
        const { type, value, current_password: password } = request.body;
        const contact = named(type, value);
        await requireStepUp(s, live, { password }, caller);
        const { suppressed } = await s.limits.codeSend(
          {
            purpose: 'contact',
            identifier: contact.canonical,
            network: caller.network,
            ...contact.caps,
            // The account that asks, whoever the number belongs to.
            hasAccount: async () => true,
          },
          caller,
        );
        const contactId = s.keyring.lookupId(type, contact.canonical);
        const { flow } = await s.engine.openOn(
          'challenge',
          async () => ({
            flowId: mint(),
            tokenTtlMs: ttlMs,
            event: {
              type: 'CODE_REQUESTED',
              now: caller.now,
              contactId,
              accountId: account.id,
              audience: null,
              purpose: 'contact' as const,
              terms: s.proofs.terms(type === 'phone' ? contact.canonical : null),
              suppressed,
              ttlMs,
              capitals: contact.capitals,
            },
            enclosures: {
              contact: { id: contactId, type, canonical: contact.canonical, value: contact.value },
            },
          }),
          caller,
        );
        reply.code(202);
        return {
          flow_id: flow.id,
          state: flow.state,
          next: s.actions.next(flow, caller.now),
          flow_token: openToken(s, flow) ?? '',
          expires_in: s.config.code.ttlS,
        };
      },
    );

    app.post(
      '/v1/users/me/contacts/verify',
      {
        config: { sends: { machine: 'challenge', event: 'CODE_CHECKED', for: { purpose: 'contact' } } },
        schema: {
          summary: 'Prove the new address or number; it becomes the primary one of its type',
          description:
            'Each address of the account from before gets a link that [undoes it](/v1/flows/definitions/contact_change/diagram).',
          ...secured,
          body: verifyContactBody,
          response: { 200: contactsAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const { account } = await authenticate(request, s);
        const caller = callerOf(request, s);
        const { flow_token: token, code } = request.body;
        const locator = flowNamedBy(token);
        await s.limits.codeCheck({ network: caller.network }, caller);
        await codeOutcome(
          s,
          s.engine.send(
            'challenge',
            locator,
            async (loaded, view) => {
              const holder = s.proofs.holder(loaded, token, caller.now);
              if (view.purpose !== 'contact' || view.accountId !== account.id || !loaded.contact) {
                throw new Problem('invalid_flow_token');
              }
              const enclosures = s.proofs.codeBudget(loaded, { holder, network: caller.network });
              const verdict = s.proofs.codeVerdict(view, 'contact', code, holder);
              const opens = await additionOf(
                s,
                { accountId: account.id, contact: loaded.contact },
                caller.now,
              );
              return { enclosures, event: { type: 'CODE_CHECKED', now: caller.now, verdict, opens } };
            },
            caller,
          ),
          caller.now,
        );
        return listed(account.id);
      },
    );

    app.delete(
      '/v1/users/me/contacts/:contact_id',
      {
        config: { sends: { machine: 'contact_change', event: 'CONTACT_REMOVED', offered: false } },
        schema: {
          summary: 'Remove an address or a number; never the last proven one',
          ...secured,
          params: z.strictObject({ contact_id: z.uuid() }),
          body: removeContactBody,
          response: { 200: contactsAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const { account } = live;
        const caller = callerOf(request, s);
        const given = { password: request.body?.current_password };
        const { eventSeq } = await requireStepUp(s, live, given, caller);
        const mine = await s.users.contactsOf(account.id);
        const gone = mine.find((c) => c.id === request.params.contact_id);
        if (!gone) throw new Problem('not_found');
        await removeContact(s, { account: { id: account.id, eventSeq }, contactId: gone.id }, caller);
        return listed(account.id);
      },
    );
  };
