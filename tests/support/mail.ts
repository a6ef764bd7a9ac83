/** Registering by e-mail as a client would, and what the mailbox holds afterwards. */
import type { TestApp } from './app.ts';

export const MAIL_PASSWORD = 'Correct-Horse-77';

let next = 0;
/** An address nobody else in this file uses. */
export const freshEmail = (): string => `person${process.pid}x${++next}@example.com`;

export const register = (app: TestApp, email: string, more: Record<string, unknown> = {}) =>
  app.call('POST', '/v1/auth/register', {
    body: { email, password: MAIL_PASSWORD, name: 'Ada Byron', ...more },
  });

/** Newest first. */
export async function mailbox(app: TestApp, to: string) {
  await app.relay.drain();
  return (await app.services.inbox?.list({ to, channel: 'mail' })) ?? [];
}

/** A LIMITED account with a verified address; its device is `device-one`. */
export async function emailPerson(app: TestApp, email = freshEmail()) {
  const registered = await register(app, email);
  const verified = await app.call('POST', '/v1/auth/verify-email', {
    body: { user_id: registered.body.user_id, code: '000000', device_fingerprint: 'device-one' },
  });
  if (!verified.body.access_token) throw new Error(`no LIMITED account: ${verified.text}`);
  return { email, userId: registered.body.user_id as string, verified: verified.body };
}
