/** The plain step of the recipe as a newcomer writes it: a notice to be read between password and profile. Three files. */
import type { Edits } from './scratch.ts';

export const TEST = 'tests/steps/notice.test.ts';

export const plainStep: Edits = {
  'machines/signup.ts': [
    { after: '  ABANDON: bare,\n', put: '  NOTICE_READ: bare,\n' },
    {
      instead: "              target: 'credentials_set',\n",
      put: "              target: 'notice_due',\n",
    },
    {
      instead: '        credentials_set: {\n',
      put: `        notice_due: {
          tags: ['verified'],
          meta: { tier: 'UNVERIFIED', step: 'notice', stepBy: 'phone', label: 'privacy notice to read', budgetMs: DAY },
          on: { NOTICE_READ: { target: 'credentials_set', actions: audit('notice.read') } },
        },
        credentials_set: {
`,
    },
  ],
  'src/features/signup/profile-routes.ts': [
    {
      after: "import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';\n",
      put: "import { z } from 'zod';\n",
    },
    {
      instead: "import { ownFlow, problemsFor } from '../../http/flow-answers.ts';\n",
      put: "import { openToken, ownFlow, problemsFor } from '../../http/flow-answers.ts';\nimport { flowTokenInput } from '../../http/inputs.ts';\n",
    },
    {
      instead: '/** What these steps ask for,',
      put: `const noticeBody = z
  .strictObject({ flow_token: flowTokenInput.optional() })
  .meta({ id: 'ReadNotice', examples: [{}] });

/** What these steps ask for,`,
    },
    {
      instead: '    const { doc } = signupKit(s);\n',
      put: `    const { doc, locate } = signupKit(s);

    app.post(
      '/v1/auth/signup/notice',
      {
        config: { sends: { machine: 'signup', event: 'NOTICE_READ' } },
        schema: {
          ...doc('Confirm that the privacy notice was read'),
          body: noticeBody,
          response: { 200: signupAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        if (token === null) throw new Problem('unauthenticated');
        const { flow } = await ownFlow(
          engine.send(
            'signup',
            locate(token),
            (loaded) => {
              proofs.holder(loaded, token, caller.now);
              return { event: { type: 'NOTICE_READ', now: caller.now } };
            },
            caller,
          ),
        );
        return signupContract(flow, offerOf(s, caller), openToken(s, flow));
      },
    );
`,
    },
  ],
  [TEST]: `/** The notice stands between the password and the profile: nobody passes without having confirmed it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toGraph } from '../../machines/graph.ts';
import { registry } from '../../machines/index.ts';
import { dominates } from '../machines/graph-proof.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { signUpTo } from '../support/sign-up.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

const person = () => ({ call: app.call, phone: freshPhone(), codeOf: () => '000000' });

test('credentials alone lead to the notice, which is offered and named as missing', async () => {
  const { answer } = await signUpTo(person(), 'notice_due');
  expect(answer.body.missing).toEqual(['notice', 'profile', 'risk']);
  expect(answer.body.next).toContainEqual(expect.objectContaining({ event: 'NOTICE_READ' }));
});

test('the profile is refused before it and taken after it, up to an account with tokens', async () => {
  const { flowToken: token } = await signUpTo(person(), 'notice_due');
  const body = { first_name: 'Ada', last_name: 'Byron' };
  expect((await app.call('POST', '/v1/auth/signup/profile', { body, token })).status).toBe(409);
  expect((await signUpTo(person(), 'LIMITED')).access).not.toBe('');
});

test('every way to the profile passes the notice', () => {
  const graph = toGraph(registry.signup.machine);
  const read = (edge: { event: string }) => edge.event === 'NOTICE_READ';
  expect(dominates(graph, graph.initial, read, 'UNVERIFIED.credentials_set')).toBe(true);
});
`,
};
