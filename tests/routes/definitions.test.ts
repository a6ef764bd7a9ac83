/** Machines as documentation: what is published is what runs, and asking "what if" leaves no trace. */
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toGraph } from '../../machines/graph.ts';
import { registry } from '../../machines/index.ts';
import { createTestApp, type TestApp } from '../support/app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

const base = '/v1/flows/definitions';
const ask = (machine: string, body: object) => app.call('POST', `${base}/${machine}/simulate`, { body });

describe('definitions', () => {
  test('every machine is listed and described as it runs', async () => {
    const { body } = await app.call('GET', base);
    expect(body.definitions.map((d: { machine: string }) => d.machine)).toEqual(Object.keys(registry));
    for (const { machine, version, href, diagram } of body.definitions) {
      const one = await app.call('GET', href);
      expect(one.status).toBe(200);
      expect(one.headers['cache-control']).toContain('public');
      const graph = toGraph(registry[machine as keyof typeof registry].machine);
      expect(one.body).toMatchObject({ machine, version, initial: graph.initial, diagram });
      expect(one.body.states.map((s: { id: string }) => s.id)).toEqual(graph.nodes.map((n) => n.id));
      expect(one.body.edges.map((e: { key: string }) => e.key)).toEqual(graph.edges.map((e) => e.key));
    }
  });

  test('a picture in both themes, with a policy under which it can only style itself', async () => {
    const pictures = [];
    for (const query of ['', '?theme=light', '?theme=dark']) {
      const picture = await app.call('GET', `${base}/signup/diagram${query}`);
      expect(picture.status).toBe(200);
      expect(picture.headers['content-type']).toContain('image/svg+xml');
      expect(picture.headers['content-security-policy']).toMatch(
        /^default-src 'none'; style-src 'unsafe-inline'/,
      );
      expect(picture.text).toMatch(/^<svg/);
      pictures.push(picture.text);
    }
    expect(pictures[0]).toBe(pictures[1]);
    expect(pictures[1]).not.toBe(pictures[2]);
    expect((await app.call('GET', `${base}/signup/diagram?theme=pink`)).status).toBe(400);
  });

  test.each(['nobody', '..%2F..%2Fpackage', '__proto__', 'constructor'])('%s is no machine', async (name) => {
    for (const path of [`${base}/${name}`, `${base}/${name}/diagram`]) {
      expect((await app.call('GET', path)).status).toBe(404);
    }
    expect((await ask(name, { state: 'idle', event: { type: 'EXPIRE' } })).status).toBe(404);
  });

  test('not there when documentation is off', async () => {
    const quiet = await createTestApp({ env: { DOCS_ENABLED: 'false' } });
    expect((await quiet.call('GET', base)).status).toBe(404);
    expect((await quiet.call('GET', `${base}/signup/diagram`)).status).toBe(404);
    const body = { state: 'idle', event: { type: 'EXPIRE' } };
    expect((await quiet.call('POST', `${base}/signup/simulate`, { body })).status).toBe(404);
    await quiet.close();
  });
});

describe('what if', () => {
  test('the right code: where it leads, what is asked for, what the flow would remember', async () => {
    const { status, body } = await ask('signup', {
      state: 'UNVERIFIED.code_sent',
      event: { type: 'CODE_CHECKED' },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      allowed: true,
      state: 'UNVERIFIED.preuser_created',
      edges: [expect.stringMatching(/^UNVERIFIED\.code_sent\|CODE_CHECKED\|\d$/)],
      reason: null,
    });
    expect(body.effects.map((e: { name: string }) => e.name)).toContain('createAccount');
    expect(body.context.map((c: { path: string }) => c.path)).toContain('accountId');
  });

  test('facts decide: the last wrong code locks, a context may say so', async () => {
    const wrong = { type: 'CODE_CHECKED', verdict: { matches: false } };
    const state = 'UNVERIFIED.code_sent';
    expect((await ask('signup', { state, event: wrong })).body).toMatchObject({ allowed: true, state });
    const last = await ask('signup', { state, context: { code: { attemptsLeft: 1 } }, event: wrong });
    expect(last.body).toMatchObject({ allowed: true, state: 'UNVERIFIED.locked' });
  });

  test('eventless stages are walked: a login on a known device ends authenticated', async () => {
    const { body } = await ask('login', { state: 'idle', event: { type: 'PRIMARY_PROVED' } });
    expect(body.state).toBe('L6_result.AUTHENTICATED');
    expect(body.edges).toHaveLength(6);
    const subject = { knownDevice: false };
    const stepUp = await ask('login', { state: 'idle', event: { type: 'PRIMARY_PROVED', subject } });
    expect(stepUp.body.state).toBe('L4_step_up');
  });

  test('a refusal names the guards that did not hold', async () => {
    const tooMany = await ask('signup', {
      state: 'LIMITED.kyc_rejected',
      context: { kyc: { submissions: 3 } },
      event: { type: 'KYC_SUBMITTED' },
    });
    expect(tooMany.body).toMatchObject({
      allowed: false,
      state: 'LIMITED.kyc_rejected',
      effects: [],
      guards: [
        { guard: 'submissionsLeft', holds: false, conditions: [{ name: 'submissionsLeft', holds: false }] },
      ],
    });
    const early = await ask('signup', { state: 'FULL', event: { type: 'PASSWORD_SET' } });
    expect(early.body).toMatchObject({
      allowed: false,
      guards: [],
      reason: 'FULL does not take PASSWORD_SET',
    });
    const over = await ask('signup', { state: 'expired', event: { type: 'ABANDON' } });
    expect(over.body.reason).toBe('the flow has ended in expired');
  });

  test('no state × event of any machine makes it fail', async () => {
    const { simulate } = await import('../../src/features/flows/simulate.ts');
    for (const [id, { machine }] of Object.entries(registry)) {
      for (const node of toGraph(machine).nodes) {
        for (const type of machine.events as string[]) {
          const run = () => simulate(id as never, { state: node.id, event: { type } }, 1_800_000_000_000);
          try {
            expect(typeof run().allowed).toBe('boolean');
          } catch (error) {
            // States nobody rests in, and only those.
            expect((error as { code: string }).code, `${id} ${node.id} ${type}`).toBe('validation_failed');
            expect(JSON.stringify(error)).toContain('"/body/state"');
          }
        }
      }
    }
  });

  test.each([
    ['a state that is none', { state: 'nowhere', event: { type: 'EXPIRE' } }, '/state'],
    ['a state nobody rests in', { state: 'UNVERIFIED', event: { type: 'EXPIRE' } }, '/state'],
    ['an event of XState itself', { state: 'FULL', event: { type: 'xstate.stop' } }, '/event/type'],
    ['an event of nobody', { state: 'FULL', event: { type: 'BE_RICH' } }, '/event/type'],
    ['an unknown fact', { state: 'FULL', event: { type: 'EXPIRE', wish: true } }, '/event'],
    [
      'a fact of another type',
      { state: 'UNVERIFIED.code_sent', event: { type: 'CODE_CHECKED', verdict: 1 } },
      '/event/verdict',
    ],
    [
      'a context of another shape',
      { state: 'FULL', context: { risk: 7 }, event: { type: 'EXPIRE' } },
      '/context/risk',
    ],
    [
      'an unknown member',
      { state: 'FULL', context: { tier: 'FULL' }, event: { type: 'EXPIRE' } },
      '/context',
    ],
    [
      'a phone',
      { state: 'FULL', context: { contactId: '+15555550100' }, event: { type: 'EXPIRE' } },
      '/context',
    ],
    ['an address', { state: 'FULL', event: { type: 'KYC_REVOKED', by: 'a@b.example' } }, '/event'],
    ['more than it takes', { state: 'FULL', event: { type: 'EXPIRE' }, also: 1 }, '/also'],
  ])('%s is refused with its place', async (_, body, pointer) => {
    const answer = await ask('signup', body);
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0].pointer).toBe(`/body${pointer}`);
  });

  test('a question is short', async () => {
    const context = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, i]));
    expect((await ask('signup', { state: 'FULL', context, event: { type: 'EXPIRE' } })).status).toBe(413);
  });

  test('nothing is stored, whatever was asked', async () => {
    const sql = postgres(app.databaseUrl, { max: 1 });
    const rows = async () => {
      const [row] = await sql`select (select count(*) from flows) + (select count(*) from flow_steps)
        + (select count(*) from outbox) + (select count(*) from audit_events) + (select count(*) from accounts) as n`;
      return Number(row?.n);
    };
    const before = await rows();
    await ask('signup', { state: 'idle', event: { type: 'PHONE_SUBMITTED' } });
    await ask('challenge', { state: 'code_sent', event: { type: 'CODE_CHECKED' } });
    expect(await rows()).toBe(before);
    await sql.end();
  });
});
