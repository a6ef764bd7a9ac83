/** A stand-in for Kite Connect v3 on loopback, as its documentation describes it: single-use request tokens, checksums, errors. */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type App = { apiKey: string; apiSecret: string };
type Trouble = { status: number; body?: string; headers?: Record<string, string> } | 'silent' | 'cut';

export type KiteServer = Awaited<ReturnType<typeof startKite>>;

export async function startKite() {
  const apps = new Map<string, App>();
  const requestTokens = new Map<string, { apiKey: string; userId: string }>();
  const accessTokens = new Map<string, { apiKey: string; userId: string }>();
  const state = {
    calls: [] as { method: string; path: string; headers: Record<string, string>; body: string }[],
    /** Answered in this order, one per request, before anything works again. */
    troubles: [] as Trouble[],
    /** Answered to every request while set. */
    trouble: null as Trouble | null,
    /** Requests answered with it wait for this before they are worked on. */
    gate: null as Promise<void> | null,
  };

  const send = (response: ServerResponse, status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const fail = (response: ServerResponse, status: number, type: string, message: string) =>
    send(response, status, { status: 'error', message, error_type: type, data: null });

  function make(
    response: ServerResponse,
    { status, body = '', headers = {} }: Exclude<Trouble, string>,
  ): void {
    response.writeHead(status, headers).end(body);
  }

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const { method = '', url = '', headers } = request;
    state.calls.push({ method, path: url, headers: headers as Record<string, string>, body });
    const trouble = state.troubles.shift() ?? state.trouble;
    if (trouble === 'silent') return;
    if (trouble === 'cut') return void response.destroy();
    if (trouble) return make(response, trouble);
    if (state.gate) await state.gate;
    if (headers['x-kite-version'] !== '3')
      return fail(response, 400, 'InputException', 'Missing or invalid X-Kite-Version');
    const { pathname, searchParams } = new URL(url, 'http://stand-in');

    if (method === 'POST' && pathname === '/session/token') {
      const form = new URLSearchParams(body);
      const given = Object.fromEntries(form) as Record<string, string>;
      const { api_key: apiKey = '', request_token: requestToken = '', checksum = '' } = given;
      const app = apps.get(apiKey);
      if (!app) return fail(response, 403, 'TokenException', 'Invalid `api_key` or `access_token`.');
      const issued = requestTokens.get(requestToken);
      const expected = createHash('sha256')
        .update(apiKey + requestToken + app.apiSecret)
        .digest('hex');
      if (!issued || issued.apiKey !== apiKey)
        return fail(response, 403, 'TokenException', 'Token is invalid or has expired.');
      requestTokens.delete(requestToken);
      if (checksum !== expected) return fail(response, 403, 'TokenException', 'Invalid `checksum`.');
      const accessToken = randomBytes(16).toString('hex');
      accessTokens.set(accessToken, issued);
      const data = { user_id: issued.userId, api_key: apiKey, access_token: accessToken, broker: 'ZERODHA' };
      return send(response, 200, { status: 'success', data });
    }

    const [, apiKey, accessToken] = /^token ([^:]+):(.+)$/.exec(headers.authorization ?? '') ?? [];
    const holder = accessTokens.get(accessToken ?? '');
    if (!holder || holder.apiKey !== apiKey)
      return fail(response, 403, 'TokenException', 'Incorrect `api_key` or `access_token`.');
    if (method === 'GET' && pathname === '/user/profile') {
      const data = { user_id: holder.userId, user_type: 'individual', broker: 'ZERODHA', email: 'x@y.z' };
      return send(response, 200, { status: 'success', data });
    }
    if (method === 'DELETE' && pathname === '/session/token') {
      accessTokens.delete(searchParams.get('access_token') ?? '');
      return send(response, 200, { status: 'success', data: true });
    }
    return fail(response, 404, 'GeneralException', 'Route not found');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));

  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Registers an application. */
    app(): App {
      const app = { apiKey: randomBytes(8).toString('hex'), apiSecret: randomBytes(16).toString('hex') };
      apps.set(app.apiKey, app);
      return app;
    },
    /** What Kite's login page redirects with. */
    login(app: App, userId: string): string {
      const token = randomBytes(16).toString('hex');
      requestTokens.set(token, { apiKey: app.apiKey, userId });
      return token;
    },
    /** An access token in force, without the exchange. */
    grant(app: App, userId: string): string {
      const token = randomBytes(16).toString('hex');
      accessTokens.set(token, { apiKey: app.apiKey, userId });
      return token;
    },
    /** Ends an access token, as 06:00 or a logout elsewhere does. */
    end(accessToken: string): void {
      accessTokens.delete(accessToken);
    },
    endAll: () => accessTokens.clear(),
    knows: (accessToken: string) => accessTokens.has(accessToken),
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  });
}
