/**
 * The large step of the recipe as a newcomer writes it: terms to accept between profile and risk gate, with a table, a
 * setting, a refusal, an effect and a new version of what a sign-up remembers. Six files.
 */
import type { Edits } from './scratch.ts';

export const TEST = 'tests/steps/terms.test.ts';

export const termsStep: Edits = {
  'machines/signup.ts': [
    {
      after: '  profileComplete: z.boolean(),\n',
      put: '  /** The version of the terms that was accepted; null before, and for ways in that ask for none. */\n  terms: z.string().nullable(),\n',
    },
    { after: '  profileComplete: false,\n', put: '  terms: null,\n' },
    {
      after: '  ABANDON: bare,\n',
      put: `  /** \`current\`: the version that is to be accepted now. */
  TERMS_ACCEPTED: event(
    { terms: word, current: word, login },
    () => ({ terms: 'v1', current: 'v1', login: null }),
    { login: SAMPLE_OPENING },
  ),
`,
    },
    {
      after: 'export type SignupEffects = {\n',
      put: '  /** Write which terms the account accepted. */\n  recordTerms: { accountId: string; terms: string };\n',
    },
    {
      after: '    profileComplete: ({ context }) => context.profileComplete,\n',
      put: "    termsCurrent: ({ event }) => event.type === 'TERMS_ACCEPTED' && event.terms === event.current,\n",
    },
    {
      instead: `            PROFILE_SUBMITTED: {
              target: 'risk_gate',
`,
      put: `            PROFILE_SUBMITTED: {
              target: 'terms_due',
`,
    },
    {
      instead: '        risk_gate: {\n',
      put: `        terms_due: {
          tags: ['verified'],
          meta: { tier: 'UNVERIFIED', step: 'terms', stepBy: 'phone', label: 'terms to accept', budgetMs: DAY },
          on: {
            TERMS_ACCEPTED: {
              guard: 'termsCurrent',
              target: 'risk_gate',
              actions: [
                machine.assign(({ event: e }) => (e.type === 'TERMS_ACCEPTED' ? { terms: e.terms } : {})),
                {
                  type: 'recordTerms',
                  params: ({ context: c }) => ({ accountId: id(c), terms: c.terms ?? '' }),
                },
                audit('terms.accepted'),
              ],
            },
          },
        },
        risk_gate: {
`,
    },
    { instead: '  version: 2,\n', put: '  version: 3,\n' },
    {
      instead: '  upgrades: { 1: signupV1toV2 },\n',
      put: `  upgrades: {
    1: signupV1toV2,
    // v2 asked for no terms.
    2: (stored) => ({ ...stored, context: { ...stored.context, terms: null } }),
  },
`,
    },
  ],
  'db/schema.ts': [
    {
      instead: '/** Ids of provider webhooks already taken,',
      put: `/** Which version of the terms an account accepted, and when. */
export const termsAcceptances = pgTable(
  'terms_acceptances',
  {
    accountId: uuid()
      .notNull()
      .references(() => accounts.id),
    terms: text().notNull(),
    acceptedAt: at().notNull(),
  },
  (t) => [primaryKey({ columns: [t.accountId, t.terms] })],
);

/** Ids of provider webhooks already taken,`,
    },
  ],
  'src/config/variables.ts': [
    {
      instead: 'const STEPS = {};\n',
      put: `const STEPS = {
  TERMS_VERSION: setting(p.text, 'v1', 'Version of the terms that a sign-up has to accept'),
};
`,
    },
  ],
  'src/kernel/problems.ts': [
    {
      after: 'const CATALOGUE = {\n',
      put: `  terms_outdated: [
    409,
    'These terms are not the current ones',
    of(
      'The person accepted another version of the terms than the one in force.',
      'Show the terms in force to the person, and send the version that was accepted.',
    ),
  ],
`,
    },
  ],
  'src/features/signup/profile-routes.ts': [
    {
      after: "import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';\n",
      put: "import { z } from 'zod';\n",
    },
    {
      after: "import { storeProfile } from '../../../db/credentials.ts';\n",
      put: "import { addRow } from '../../../db/rows.ts';\n",
    },
    {
      after: "import { enclosed, type OwnEffects } from '../../engine/effects.ts';\n",
      put: "import { EventRefused } from '../../engine/engine.ts';\n",
    },
    {
      after: "import { ownFlow, problemsFor } from '../../http/flow-answers.ts';\n",
      put: "import { deviceInput, flowTokenInput, transportInput } from '../../http/inputs.ts';\n",
    },
    {
      instead: '/** What these steps ask for,',
      put: `const termsBody = z
  .strictObject({
    terms_version: z.string().min(1).max(20),
    device_id: deviceInput.optional(),
    persist_session: z.boolean().default(false),
    token_transport: transportInput.default('body'),
    flow_token: flowTokenInput.optional(),
  })
  .meta({ id: 'AcceptTerms', examples: [{ terms_version: 'v1' }] });

/** What these steps ask for,`,
    },
    {
      after: 'export const profileEffects = {\n',
      put: `  recordTerms: ({ accountId, terms }, c) => {
    const row = { accountId, terms, acceptedAt: c.changes.now };
    c.changes.rows.push(addRow('termsAcceptances', row, 'ignored'));
  },
`,
    },
    {
      instead: '    const { doc } = signupKit(s);\n',
      put: `    const { doc, locate } = signupKit(s);

    app.post(
      '/v1/auth/signup/terms',
      {
        config: { sends: { machine: 'signup', event: 'TERMS_ACCEPTED' } },
        schema: {
          ...doc('Accept the terms; passes the risk gate (S4) into LIMITED (S5)'),
          body: termsBody,
          response: { 200: signupAnswer, 202: signupAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const caller = callerOf(request, s, { deviceId: body.device_id });
        const token = flowTokenOf(request, body.flow_token);
        if (token === null) throw new Problem('unauthenticated');
        const [loginId, sessionId] = [mint(), mint()];
        const { flow, opened } = await ownFlow(
          engine.send(
            'signup',
            locate(token),
            (loaded) => {
              proofs.holder(loaded, token, caller.now);
              const facts = {
                now: caller.now,
                sessionId,
                deviceId: caller.deviceId,
                persistent: body.persist_session,
              };
              return {
                event: {
                  type: 'TERMS_ACCEPTED',
                  now: caller.now,
                  terms: body.terms_version,
                  current: config.steps.TERMS_VERSION,
                  login: { flowId: loginId, event: proofs.signupLogin(loaded, facts) },
                },
              };
            },
            caller,
          ),
        ).catch((error) => {
          const outdated = error instanceof EventRefused && error.view.state.endsWith('terms_due');
          throw outdated ? new Problem('terms_outdated', error.extras) : error;
        });
        const login = opened[0];
        const revealed = login ? await revealLogin(s, login) : null;
        const given = deliverRefresh(reply, config, body.token_transport, revealed);
        const result = login ? loginContract(login, offerOf(s, caller), given, null) : {};
        reply.code(flow.tier === 'LIMITED' || flow.done ? 200 : 202);
        return { ...result, ...signupContract(flow, offerOf(s, caller), null) };
      },
    );
`,
    },
  ],
  [TEST]: `/** Terms stand between the profile and the risk gate: only the version in force leads on, and it is recorded. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toGraph } from '../../machines/graph.ts';
import { registry } from '../../machines/index.ts';
import { restore } from '../../src/engine/snapshots.ts';
import { stateOf } from '../machines/explore.ts';
import { dominates } from '../machines/graph-proof.ts';
import { fixtureFile, read } from '../machines/make-fixtures.ts';
import { breaksWithout } from '../machines/promise.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { query } from '../support/people.ts';
import { signUpTo } from '../support/sign-up.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: { TERMS_VERSION: 'v2' } });
});
afterAll(() => app.close());

const person = (inputs = {}) => ({ call: app.call, phone: freshPhone(), codeOf: () => '000000', inputs });
const accepted = async (token: string, terms_version: string) =>
  app.call('POST', '/v1/auth/signup/terms', { token, body: { terms_version } });

test('a profile leads to the terms; the version in force leads on to an account with tokens and is recorded', async () => {
  const { flowToken, flowId, answer } = await signUpTo(person(), 'terms_due');
  expect(answer.body.missing).toEqual(['terms', 'risk']);
  const done = await accepted(flowToken, 'v2');
  expect(done.body).toMatchObject({ status: 'kyc_none', auth_status: 'AUTHENTICATED' });
  const rows = await query(
    app,
    'select t.terms from terms_acceptances t join flows f on f.account_id = t.account_id where f.id = $1',
    [flowId],
  );
  expect(rows).toEqual([{ terms: 'v2' }]);
});

test('a sign-up that only follows what is offered arrives', async () => {
  expect((await signUpTo(person({ terms_version: 'v2' }), 'LIMITED')).access).not.toBe('');
});

test('another version is refused by name, and the flow stays where it was', async () => {
  const { flowToken } = await signUpTo(person(), 'terms_due');
  const refused = await accepted(flowToken, 'v1');
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({ code: 'terms_outdated', state: 'UNVERIFIED.terms_due' });
  expect((await accepted(flowToken, 'v2')).status).toBe(200);
});

test('by phone every way to LIMITED passes the current terms', () => {
  const graph = toGraph(registry.signup.machine);
  const other = (edge: { event: string; guard: string | null }) =>
    edge.event === 'IMPORTED' || edge.guard?.includes('byEmail') === true;
  const byPhone = { ...graph, edges: graph.edges.filter((edge) => !other(edge)) };
  const gate = (edge: { event: string; guard: string | null }) =>
    edge.event === 'TERMS_ACCEPTED' && edge.guard === 'termsCurrent';
  expect(dominates(byPhone, graph.initial, gate, 'LIMITED')).toBe(true);
});

test('outdated terms never lead on, and would without the guard', () => {
  const outdated = { type: 'TERMS_ACCEPTED', now: 1_800_000_000_000, terms: 'v0', current: 'v1', login: null };
  const found = breaksWithout('signup', 'termsCurrent', {
    weakened: true,
    letters: [{ event: outdated, fact: 'outdated', good: false }],
    broken: ({ letter, before, after }) =>
      letter.fact === 'outdated' && stateOf(before) !== stateOf(after),
  });
  expect(found.with).toBe(0);
  expect(found.without).toBeGreaterThan(0);
});

test('a sign-up stored before there were terms goes on where it was', () => {
  for (const [state, stored] of Object.entries(read(fixtureFile('signup', 2)))) {
    const restored = restore(registry.signup, 2, stored);
    expect(restored.ok && stateOf(restored.snapshot), state).toBe(state);
  }
});
`,
};
