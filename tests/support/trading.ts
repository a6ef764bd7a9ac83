/** FULL people with accounts at the Kite stand-in. */
import { full, type Person } from '../routes/people.ts';
import { createTestApp, type TestApp } from './app.ts';
import { type KiteServer, startKite } from './kite-server.ts';
import { LIMITS_OFF } from './limits-off.ts';
import { query } from './people.ts';
import { enrolTotp } from './second-factor.ts';

export const BASE = '/v1/trading-accounts';

export const kiteEnv = (kite: KiteServer): Record<string, string> => ({
  ...LIMITS_OFF,
  DEMO_MODE: 'false',
  BROKER_ADAPTER: 'kite',
  KITE_API_BASE_URL: kite.url,
  KITE_API_TIMEOUT_SECONDS: '2',
  KITE_API_MAX_RETRIES: '0',
  LIMIT_REVEAL: '1000/1h',
  LIMIT_BROKER: '100000/1h',
});

export async function tradingApp(
  options: Parameters<typeof createTestApp>[0] = {},
): Promise<{ app: TestApp; kite: KiteServer; close(): Promise<void> }> {
  const kite = await startKite();
  const app = await createTestApp({ ...options, env: { ...kiteEnv(kite), ...options.env } });
  return {
    app,
    kite,
    async close() {
      await app.close();
      await kite.close();
    },
  };
}

let next = 1000;
export const brokerUser = (): string => `AB${++next}`;

export type Linked = Person & {
  id: string;
  flowId: string;
  brokerUserId: string;
  apiKey: string;
  apiSecret: string;
  accessToken: string;
};

/** A FULL person with an account at Kite whose token works. */
export async function linked(app: TestApp, kite: KiteServer, person?: Person): Promise<Linked> {
  const owner = person ?? (await full(app));
  const kiteApp = kite.app();
  const brokerUserId = brokerUser();
  const accessToken = kite.grant(kiteApp, brokerUserId);
  const answer = await app.call('POST', `${BASE}/link`, {
    token: owner.access,
    body: {
      broker: 'kite',
      broker_user_id: brokerUserId,
      api_key: kiteApp.apiKey,
      api_secret: kiteApp.apiSecret,
      access_token: accessToken,
      account_name: 'Long term',
    },
  });
  if (answer.status !== 201) throw new Error(`not linked: ${answer.status} ${answer.text}`);
  return {
    ...owner,
    id: answer.body.trading_account_id,
    flowId: answer.body.flow_id,
    brokerUserId,
    ...kiteApp,
    accessToken,
  };
}

/** Sets an authenticator app up, and leaves the person with a token as a step-up at `at` gives it. */
export async function proveSecondFactor(
  app: TestApp,
  person: { userId: string; access: string },
  at?: number,
): Promise<void> {
  const known = await query(app, "select 1 from factors where account_id = $1 and state = 'active'", [
    person.userId,
  ]);
  if (known.length === 0) {
    await enrolTotp(app, await freshAccess(app, person.userId));
    // A proof from before the factor came counts as one factor.
    app.clock.advance(2000);
  }
  person.access = await freshAccess(app, person.userId, 'aal2', at ?? app.clock.now());
}

/** Another access token of the same session: an earlier one ends within minutes. */
export async function freshAccess(
  app: TestApp,
  userId: string,
  acr: 'aal1' | 'aal2' = 'aal1',
  authTime = app.clock.now(),
): Promise<string> {
  const [session] = await query<{ id: string }>(
    app,
    'select id from sessions where account_id = $1 and revoked_at is null',
    [userId],
  );
  const { token } = await app.services.tokens.issueAccessToken({
    accountId: userId,
    sessionId: session?.id ?? '',
    tier: 'FULL',
    scope: ['*'],
    roles: [],
    acr,
    amr: acr === 'aal2' ? ['otp', 'mfa'] : ['otp'],
    authTime,
    mfa: acr === 'aal2',
  });
  return token;
}
