/** The console's what-if page: the machine's own answer for any step, without a trace of having asked. */
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { signUp } from './person.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

const page = (flow: string, query = '') => app.call('GET', `/console/flows/${flow}/what-if${query}`);

test('every event is listed with where it would lead or why it is refused; the flow page links here', async () => {
  const { flow } = await signUp(app, 'password');
  expect((await app.call('GET', `/console/flows/${flow}`)).text).toContain(`/console/flows/${flow}/what-if`);
  const { status, text } = await page(flow);
  expect(status).toBe(200);
  expect(text).toMatch(/data-event="PROFILE_SUBMITTED".*?→ <b>LIMITED.kyc_none<\/b>/);
  expect(text).toMatch(/data-event="KYC_APPROVED".*?refused.*?does not take KYC_APPROVED/);
});

test('an event and its facts: the edge on the picture, effects, context; a guard that fails by name', async () => {
  const { flow } = await signUp(app, 'password');
  const passed = await page(flow, '?event=PROFILE_SUBMITTED');
  expect(passed.text).toContain('data-verdict="allowed"');
  expect(passed.text).toContain('<code>storeProfile</code>');
  expect(passed.text).toMatch(
    /class="edge is-last" data-edge="UNVERIFIED.credentials_set\|PROFILE_SUBMITTED\|0"/,
  );
  const blocked = await page(flow, '?event=PROFILE_SUBMITTED&facts=block');
  expect(blocked.text).toContain('→ <b>risk_blocked</b>');
  const early = await page(flow, '?event=EXPIRE');
  expect(early.text).toContain('data-verdict="refused"');
  expect(early.text).toContain('✗ timeUp');
});

test('any earlier step can be gone on from', async () => {
  const { flow } = await signUp(app, 'password');
  const { text } = await page(flow, '?step=1&event=CODE_CHECKED&facts=wrong');
  expect(text).toContain('UNVERIFIED.code_sent → <b>UNVERIFIED.code_sent</b>');
  expect(text).toContain('✗ codeAccepted');
});

test('asking stores nothing, and hostile words stay words', async () => {
  const { flow } = await signUp(app, 'full');
  const sql = postgres(app.databaseUrl, { max: 1 });
  const count = async () => (await sql`select count(*)::int as n from flow_steps`)[0]?.n;
  const before = await count();
  const hostile = encodeURIComponent('"><img src=x onerror=alert(1)>');
  const answer = await page(flow, `?step=${hostile}&event=${hostile}&facts=__proto__`);
  expect(answer.status).toBe(200);
  expect(answer.text).not.toContain('<img');
  await page(flow, '?event=KYC_REVOKED');
  expect(await count()).toBe(before);
  await sql.end();
  expect((await page('01a1fae7-ad96-76ff-88ab-da2d5a46cd6f')).status).toBe(404);
});
