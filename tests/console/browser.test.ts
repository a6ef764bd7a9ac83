/** The console in a real browser: live, by keyboard, without scripts, across a restart; and nothing it must not do. */
import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { chromiumPath, launch, NO_CHROMIUM, openPage } from '../support/chromium.ts';
import { createDatabase } from '../support/database.ts';
import { PASSWORD, STREET, signUp } from './person.ts';

// A browser shares its two cores with the other tests.
vi.setConfig({ testTimeout: 60_000 });

const listen = async (app: TestApp, port = 0): Promise<string> => {
  await app.server.listen({ port, host: '127.0.0.1' });
  return `http://127.0.0.1:${(app.server.server.address() as AddressInfo).port}`;
};

describe.skipIf(!chromiumPath)(`in Chromium${chromiumPath ? '' : ` (skipped: ${NO_CHROMIUM})`}`, () => {
  let app: TestApp;
  let base: string;
  let browser: Browser;
  beforeAll(async () => {
    [app, browser] = await Promise.all([createTestApp(), launch()]);
    base = await listen(app);
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
  });

  const live = '#live[data-state="on"]';

  test('every page loads without an error, a violation of the policy or a request to anybody else', async () => {
    const { flow } = await signUp(app, 'full');
    await app.services.inbox!.add({
      ...{ id: `${flow}:9:9`, channel: 'mail', to: 'a@b.test', subject: 'Hi', text: 'Hi' },
      html: '<p>Hi</p><script>document.title = "ran"</script><img src="https://elsewhere.example/x.png">',
    });
    const { page, context, complaints } = await openPage(browser, base);
    for (const url of [
      '/console',
      '/console/flows',
      '/console/funnel',
      `/console/flows/${flow}`,
      '/console/mail',
      '/console/inbox',
    ]) {
      await page.goto(url);
      await page.waitForSelector(live);
      expect(await page.locator('h1, .tabs').first().isVisible(), url).toBe(true);
    }
    expect(complaints).toEqual([]);
    // The mail's own frame may run nothing and load nothing.
    await page.locator('details summary').first().click();
    await page.frameLocator('iframe').getByText('Hi').waitFor();
    expect(complaints.filter((c) => c.startsWith('request to'))).toEqual([]);
    await context.close();
  });

  test('a step lights up within 200 ms of its commit, in two browsers at once', async () => {
    const [one, two] = await Promise.all([openPage(browser, base), openPage(browser, base)]);
    for (const { page } of [one, two]) {
      await page.goto('/console');
      await page.waitForSelector(live);
      await page.evaluate(`
        window.seen = [];
        new MutationObserver(() => {
          if (document.querySelector('[data-state="UNVERIFIED.code_sent"].is-flash')) window.seen.push(Date.now());
        }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['class'] })`);
    }
    const delays: number[] = [];
    for (let tries = 0; tries < 3; tries++) {
      for (const { page } of [one, two]) await page.evaluate('window.seen.length = 0');
      const before = Date.now();
      await signUp(app, 'code');
      for (const { page } of [one, two]) {
        await expect.poll(() => page.evaluate('window.seen.length'), { interval: 20 }).not.toBe(0);
        // Measured from the request on, so the commit itself is included.
        delays.push(Number(await page.evaluate('window.seen[0]')) - before);
      }
    }
    const pairs = [0, 2, 4].map((i) => Math.max(delays[i] ?? 0, delays[i + 1] ?? 0));
    expect(Math.min(...pairs)).toBeLessThan(200);
    const badge = one.page.locator('[data-badge="UNVERIFIED.code_sent"] text');
    await expect.poll(() => badge.textContent(), { timeout: 5000 }).toMatch(/^[3-9]/);
    expect(await one.page.locator('#ticker li').count()).toBeGreaterThan(0);
    expect([...one.complaints, ...two.complaints]).toEqual([]);
    await Promise.all([one.context.close(), two.context.close()]);
  });

  test('a flow page follows its flow, and the pause button stops that', async () => {
    const person = await signUp(app, 'verified');
    const { page, context, complaints } = await openPage(browser, base);
    await page.goto(`/console/flows/${person.flow}`);
    await page.waitForSelector(live);
    await page.waitForSelector('[data-state="UNVERIFIED.preuser_created"].is-current');
    const set = (token: string) =>
      app.call('POST', '/v1/auth/signup/set-password', { body: { password: PASSWORD }, token });
    await set(person.token);
    await page.waitForSelector('[data-state="UNVERIFIED.credentials_set"].is-current');
    await page.locator('#live').click();
    await page.waitForSelector('#live[data-state="paused"]');
    const body = { first_name: 'A', last_name: 'B', date_of_birth: '1990-12-10' };
    await app.call('POST', '/v1/auth/signup/profile', { body, token: person.token });
    await page.locator('#live').click();
    await page.waitForSelector(live);
    expect(await page.locator('.is-current').getAttribute('data-state')).toBe('UNVERIFIED.credentials_set');
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('a click on a state lists its flows', async () => {
    const { flow } = await signUp(app, 'verified');
    const { page, context } = await openPage(browser, base);
    await page.goto('/console');
    await page.locator('[data-state="UNVERIFIED.preuser_created"]').click();
    await page.waitForURL(/\/console\/flows\?machine=signup&state=UNVERIFIED\.preuser_created$/);
    expect(await page.locator(`[data-flow="${flow}"]`).count()).toBe(1);
    for (const state of await page.locator('td .state-chip').allTextContents())
      expect(state).toBe('UNVERIFIED.preuser_created');
    await context.close();
  });

  test('replay goes through the steps by range, arrow keys and play, and sends nothing', async () => {
    const { flow } = await signUp(app, 'full');
    const { page, context, complaints } = await openPage(browser, base);
    await page.goto(`/console/flows/${flow}`);
    await page.waitForSelector(live);
    const current = () => page.locator('.is-current').getAttribute('data-state');
    expect(await current()).toBe('FULL');
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.keyboard.press('Home');
    expect(await current()).toBe('UNVERIFIED.code_sent');
    await page.keyboard.press('ArrowRight');
    expect(await current()).toBe('UNVERIFIED.preuser_created');
    expect(await page.locator('.edge.is-last').getAttribute('data-edge')).toMatch(
      /^UNVERIFIED\.code_sent\|CODE_CHECKED\|/,
    );
    await page.locator('#scrub').fill('3');
    expect(await current()).toBe('UNVERIFIED.credentials_set');
    await page.locator('#scrub').focus();
    await page.keyboard.press('ArrowLeft');
    expect(await current()).toBe('UNVERIFIED.preuser_created');
    await page.locator('#play').click();
    await page.waitForSelector('[data-state="FULL"].is-current');
    expect(requests).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('works by keyboard alone: from a state on the diagram to the list and into a flow', async () => {
    await signUp(app, 'password');
    const { page, context } = await openPage(browser, base);
    await page.goto('/console');
    const href = '/console/flows?machine=signup&state=UNVERIFIED.credentials_set';
    const focused = () => page.evaluate<string | null>(`document.activeElement.getAttribute('href')`);
    for (let presses = 0; presses < 60 && (await focused()) !== href; presses++)
      await page.keyboard.press('Tab');
    expect(await focused()).toBe(href);
    await page.keyboard.press('Enter');
    await page.waitForURL(/state=UNVERIFIED\.credentials_set/);
    for (
      let presses = 0;
      presses < 60 && !/\/console\/flows\/[0-9a-f]/.test((await focused()) ?? '');
      presses++
    ) {
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/console\/flows\/[0-9a-f-]{36}$/);
    await context.close();
  });

  test('without JavaScript everything can be read, filtered and walked', async () => {
    const { flow } = await signUp(app, 'limited');
    const { page, context } = await openPage(browser, base, { javaScriptEnabled: false });
    await page.goto('/console');
    expect(await page.locator('[data-badge="LIMITED.kyc_none"]').textContent()).toMatch(/\d/);
    await page.goto('/console/flows');
    await page.locator('select[name=tier]').selectOption('LIMITED');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.locator(`[data-flow="${flow}"] a`).click();
    expect(await page.locator('.is-current').getAttribute('data-state')).toBe('LIMITED.kyc_none');
    expect(await page.locator('[data-step]').count()).toBe(4);
    await page.goto('/console');
    await page.getByRole('button', { name: 'Start a demo flow' }).click();
    await page.getByRole('button', { name: 'Next step' }).click();
    expect(await page.locator('.is-current').getAttribute('data-state')).toBe('UNVERIFIED.preuser_created');
    await context.close();
  });

  test('a restart of the server is noticed, and news come again by themselves', async () => {
    const database = await createDatabase();
    const options = { databaseUrl: database.url, secrets: app.secrets };
    let other = await createTestApp(options);
    const url = await listen(other);
    const { page, context } = await openPage(browser, url);
    await page.goto('/console');
    await page.waitForSelector(live);
    await other.close();
    await page.waitForSelector('#live[data-state="off"]');
    other = await createTestApp(options);
    await listen(other, Number(new URL(url).port));
    await page.waitForSelector(live, { timeout: 15_000 });
    await signUp(other, 'code');
    await page.waitForSelector('[data-state="UNVERIFIED.code_sent"].is-flash', { state: 'attached' });
    await context.close();
    await other.close();
    await database.drop();
  });

  test('another replica’s steps and refused ones arrive too, and frames hold nothing secret', async () => {
    const replica = await createTestApp({ databaseUrl: app.databaseUrl, secrets: app.secrets });
    const stop = new AbortController();
    const stream = await fetch(`${base}/console/events`, { signal: stop.signal });
    expect(stream.headers.get('content-type')).toContain('text/event-stream');
    expect(stream.headers.get('cache-control')).toBe('no-store');
    let frames = '';
    const reading = (async () => {
      for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) frames += chunk;
    })().catch(() => {});
    const person = await signUp(replica, 'limited', {
      headers: { 'user-agent': '<script>alert(1)</script>' },
    });
    await replica.call('POST', '/v1/auth/signup/set-password', {
      body: { password: PASSWORD },
      token: person.token,
    });
    await expect.poll(() => frames, { timeout: 5000 }).toContain('"refused":true');
    expect(frames).toContain(person.flow);
    const ids = [...frames.matchAll(/"id":"([^"]+)"/g)].map((m) => m[1]);
    expect(new Set(ids).size).toBe(ids.length);
    for (const canary of [PASSWORD, STREET, 'Canarina', '000000"', person.phone, person.token, 'script']) {
      expect(frames).not.toContain(canary);
    }
    stop.abort();
    await reading;
    await replica.close();
  });

  test('hostile rows stay text', async () => {
    const hostile = '"><img src=x onerror="document.title=1">';
    await app.services.db
      .writes`insert into flows (id, machine, machine_version, version, state, status, snapshot, created_at, updated_at, state_entered_at)
      values ('01a1fae7-ad96-76ff-88ab-00000000beef', ${hostile}, 1, 1, ${hostile}, 'active', '{}', now(), now(), now())`;
    await app.services.db
      .writes`insert into flow_steps (id, flow_id, seq, machine, machine_version, at, event, edges, from_state, to_state, refused, actor, request_id, context)
      values (gen_random_uuid(), '01a1fae7-ad96-76ff-88ab-00000000beef', 1, ${hostile}, 1, now(), ${hostile}, '{}', ${hostile}, ${hostile}, false, 'client', ${hostile}, ${JSON.stringify({ [hostile]: hostile, reason: hostile })}::text::jsonb)`;
    const { page, context, complaints } = await openPage(browser, base);
    await page.goto('/console/flows/01a1fae7-ad96-76ff-88ab-00000000beef');
    await page.waitForSelector(live);
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.title()).toContain('Flow');
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('pictures in light and dark; UPDATE_SCREENSHOTS=1 keeps them for the README', async () => {
    const folder = new URL('../../docs/images/', import.meta.url).pathname;
    const keep = process.env.UPDATE_SCREENSHOTS === '1';
    if (keep) mkdirSync(folder, { recursive: true });
    const pictures = new Set<string>();
    const take = async (page: Page, name: string) => {
      const picture = await page.screenshot(keep ? { path: `${folder}${name}.png` } : {});
      pictures.add(picture.toString('base64'));
    };
    for (let i = 0; i < 9; i++)
      await signUp(app, (['code', 'full', 'limited', 'full', 'verified'] as const)[i % 5]!);
    const { flow } = await signUp(app, 'limited');
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, context } = await openPage(browser, base, {
        ...{ colorScheme, viewport: { width: 1440, height: 1200 }, deviceScaleFactor: 1 },
      });
      await page.goto(`/console/flows/${flow}`);
      await page.waitForSelector(live);
      await take(page, `console-flow-${colorScheme}`);
      await page.goto('/console');
      await page.waitForSelector(live);
      await take(page, `console-${colorScheme}`);
      await context.close();
    }
    // Dark is not light, and a flow is not the overview.
    expect(pictures.size).toBe(4);
  });
});
