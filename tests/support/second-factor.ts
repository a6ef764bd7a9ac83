/** A person with an authenticator app, and the codes that the app shows. */
import { generateSync } from 'otplib';
import type { TestApp } from './app.ts';

/** What the app shows at the clock of the service, or so many steps of thirty seconds later. */
export const appCode = (app: TestApp, secret: string, steps = 0): string =>
  generateSync({ secret, epoch: Math.floor(app.clock.now() / 1000) + steps * 30 });

export type SecondFactor = { factorId: string; secret: string; backupCodes: string[] };

/** Sets an app up with a session that has just logged in. Its first code is used up by it. */
export async function enrolTotp(app: TestApp, token: string): Promise<SecondFactor> {
  const setup = await app.call('POST', '/v1/mfa/totp/setup', { token });
  if (setup.status !== 200) throw new Error(`no setup: ${setup.text}`);
  const { secret, factor_id: factorId } = setup.body;
  const code = appCode(app, secret);
  const enabled = await app.call('POST', '/v1/mfa/totp/enable', { token, body: { code } });
  if (enabled.status !== 200) throw new Error(`not enabled: ${enabled.text}`);
  return { factorId, secret, backupCodes: enabled.body.backup_codes };
}

/** The next code that nobody has used: time moves on to it. */
export function nextCode(app: TestApp, secret: string): string {
  app.clock.advance(30_000);
  return appCode(app, secret);
}
