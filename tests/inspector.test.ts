/** The inspector bridge: the official receiver takes what it sends, nobody else can listen, nothing personal leaves. */
import { readFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registry } from '../machines/index.ts';
import { definitionText } from '../src/console/inspector/messages.ts';
import { PASSWORD, STREET, signUp } from './console/person.ts';
import { createTestApp, type TestApp } from './support/app.ts';
import { chromiumPath, launch, NO_CHROMIUM, openPage } from './support/chromium.ts';

const packages = new URL('../node_modules/', import.meta.url);
const stub = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
/** A stand-in for the hosted viewer, on an origin of its own, with the official package's receiver in it. */
const VIEWER = `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({
  imports: {
    xstate: '/nm/xstate/dist/xstate.esm.js',
    '#uuid': '/nm/@statelyai/inspect/dist/uuid-browser.mjs',
    // What its other transports need.
    superjson: stub('export const stringify = JSON.stringify'),
    ...Object.fromEntries(
      ['fast-safe-stringify', 'safe-stable-stringify', 'isomorphic-ws', 'partysocket'].map((name) => [
        name,
        stub('export default null'),
      ]),
    ),
  },
})}</script><script type="module">
import { createBrowserReceiver } from '/nm/@statelyai/inspect/dist/index.mjs';
window.received = [];
createBrowserReceiver().subscribe((event) => window.received.push(event));
</script>`;

let viewer: Server;
let app: TestApp;
let base: string;
beforeAll(async () => {
  viewer = createServer(({ url: path = '/' }, response) => {
    if (!path.startsWith('/nm/')) return response.setHeader('content-type', 'text/html').end(VIEWER);
    response.setHeader('content-type', 'text/javascript');
    return response.end(readFileSync(new URL(path.slice('/nm/'.length), packages)));
  });
  await new Promise<void>((resolve) => viewer.listen(0, '127.0.0.1', resolve));
  const inspectUrl = `http://127.0.0.1:${(viewer.address() as AddressInfo).port}/inspect`;
  app = await createTestApp({ env: { INSPECT_URL: inspectUrl } });
  base = await app.server.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await app.close();
  viewer.close();
});

/** The stream's messages so far. */
async function streamed(
  headers: Record<string, string> = {},
): Promise<{ text: string; messages: Message[] }> {
  const text = await new Promise<string>((resolve, reject) => {
    let seen = '';
    let quiet: NodeJS.Timeout | undefined;
    const reading = request(`${base}/dev/api/inspect`, { headers, agent: false }, (answer) => {
      const end = (length: number) => {
        if (seen.length > length) return;
        reading.destroy();
        resolve(seen);
      };
      const wait = () => {
        clearTimeout(quiet);
        // What came while this process stood still is read before the end.
        quiet = setTimeout(() => setImmediate(end, seen.length), 200);
      };
      wait();
      answer.setEncoding('utf8').on('data', (part) => {
        seen += part;
        wait();
      });
      answer.on('error', () => resolve(seen));
    });
    reading.on('error', reject).end();
  });
  return { text, messages: [...text.matchAll(/^data: (.*)$/gm)].map((m) => JSON.parse(m[1]!)) };
}
// biome-ignore lint/suspicious/noExplicitAny: messages of three shapes
type Message = any;

test.skipIf(!chromiumPath)(
  `the official receiver accepts the messages in a real browser, flows stay one actor each (${chromiumPath ? 'Chromium' : NO_CHROMIUM})`,
  async () => {
    const { flow } = await signUp(app, 'code');
    const browser = await launch();
    try {
      const { page, complaints } = await openPage(browser, base);
      await page.goto('/dev/inspect');
      const frame = page.frames()[1]!;
      const ofFlow = (id: string) =>
        frame.evaluate(
          (flow) => (globalThis as Message).received.filter((m: Message) => m.sessionId === flow),
          id,
        );
      const until = async (id: string, state: string) => {
        await frame.waitForFunction(
          ([flow, text]) =>
            ((globalThis as Message).received ?? []).some(
              (m: Message) =>
                m.type === '@xstate.snapshot' &&
                m.sessionId === flow &&
                JSON.stringify(m.snapshot.value).includes(text!),
            ),
          [id, state],
          { timeout: 8000 },
        );
      };
      await until(flow, 'code_sent');
      const live = await signUp(app, 'limited');
      await until(live.flow, 'kyc_none');
      const messages = (await ofFlow(live.flow)) as Message[];
      expect(messages.filter((m) => m.type === '@xstate.actor')).toHaveLength(1);
      expect(messages[0].type).toBe('@xstate.actor');
      expect(messages.filter((m) => m.type === '@xstate.event').map((m) => m.event.type)).toEqual([
        'PHONE_SUBMITTED',
        'CODE_CHECKED',
        'PASSWORD_SET',
        'PROFILE_SUBMITTED',
      ]);
      const viewerHost = (viewer.address() as AddressInfo).port;
      expect(complaints.filter((c) => !c.includes(`:${viewerHost}`))).toEqual([]);
    } finally {
      await browser.close();
    }
  },
);

test('the page lets scripts of its own and the viewer’s frame in, and nothing else', async () => {
  const { headers, text } = await app.call('GET', '/dev/inspect', { headers: { host: 'localhost:8000' } });
  const origin = `http://127.0.0.1:${(viewer.address() as AddressInfo).port}`;
  expect(headers['content-security-policy']).toBe(
    `default-src 'none'; script-src 'self'; connect-src 'self'; frame-src ${origin}; frame-ancestors 'none'`,
  );
  expect(text).toContain('not of this service');
  expect((await app.call('GET', '/openapi.json')).text).not.toContain('/dev/inspect');
});

test('only this machine’s names and its own pages are answered', async () => {
  for (const path of ['/dev/inspect', '/dev/inspect.js', '/dev/api/inspect']) {
    const foreign = await app.call('GET', path, { headers: { host: 'evil.example' } });
    expect(foreign.status, path).toBe(421);
    expect(foreign.body.code).toBe('misdirected_request');
    for (const site of ['cross-site', 'same-site']) {
      const embedded = await app.call('GET', path, {
        headers: { host: 'localhost', 'sec-fetch-site': site },
      });
      expect(embedded.status, path).toBe(403);
    }
  }
});

describe('what goes out', () => {
  test('no code, phone, name, password, token or account', async () => {
    const person = await signUp(app, 'full');
    const { text, messages } = await streamed();
    expect(messages.some((m) => m.sessionId === person.flow)).toBe(true);
    const loaded = await app.services.flows.byId(person.flow, { deviceId: null, now: new Date() });
    const canaries = [PASSWORD, STREET, 'Canarina', '000000', person.phone, person.token, person.access];
    for (const canary of [...canaries, loaded!.flow.accountId!, loaded!.flow.contactId!]) {
      expect(text.includes(canary), canary).toBe(false);
    }
    const fields = new Set(messages.flatMap((m) => Object.keys(m)));
    expect([...fields].sort()).toEqual(
      '_version createdAt definition event id name rootId sessionId snapshot type'.split(' '),
    );
    const contexts = messages.flatMap((m) => Object.values(m.snapshot?.context ?? {}));
    expect(contexts.every((v) => typeof v === 'number')).toBe(true);
  });

  test('definitions show shape and names without a context', () => {
    for (const id of Object.keys(registry) as (keyof typeof registry)[]) {
      const definition = JSON.parse(definitionText(id));
      expect(definition.id).toBe(id);
      expect(definition).not.toHaveProperty('context');
      expect(Object.keys(definition.states)).toEqual(Object.keys(registry[id].machine.states));
    }
    expect(definitionText('signup')).toContain('"guard":{"type":"codeAccepted and byEmail"}');
  });

  test('at most 500 messages are kept, and a reader who comes back gets only what it missed', async () => {
    for (let i = 0; i < 260; i++) await signUp(app, 'code');
    const { text, messages } = await streamed();
    expect(messages.filter((m) => m.type !== '@xstate.actor')).toHaveLength(500);
    const last = [...text.matchAll(/^id: (\d+)$/gm)].at(-1)![1]!;
    expect((await streamed({ 'last-event-id': last })).messages).toEqual([]);
    const { flow } = await signUp(app, 'code');
    const missed = (await streamed({ 'last-event-id': last })).messages;
    expect(missed.map((m) => [m.type, m.sessionId])).toEqual([
      ['@xstate.actor', flow],
      ['@xstate.event', flow],
      ['@xstate.snapshot', flow],
    ]);
  });
});

test('with the console off there is no bridge', async () => {
  const quiet = await createTestApp({ env: { CONSOLE_ENABLED: 'false' } });
  for (const path of ['/dev/inspect', '/dev/inspect.js', '/dev/api/inspect']) {
    expect((await quiet.call('GET', path, { headers: { host: 'localhost' } })).status).toBe(404);
  }
  await quiet.close();
});
