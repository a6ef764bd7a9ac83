/** What routes are given: the assembled parts, as one plain object. Wired in `app.ts`, never reached globally. */
import type { AccountStore } from '../db/accounts.ts';
import type { Database } from '../db/client.ts';
import type { FlowStore } from '../db/flows.ts';
import type { createKycStore } from '../db/kyc.ts';
import type { Outbox } from '../db/outbox.ts';
import type { PasswordLoginStore } from '../db/password-logins.ts';
import type { createSessionStore } from '../db/sessions.ts';
import type { UserStore } from '../db/users.ts';
import type { AccountEdit } from './accounts/account-commit.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import type { Keyring } from './crypto/keyring.ts';
import type { Engine, SendContext } from './engine.ts';
import type { DurableWindows } from './flows/rules.ts';
import type { Hasher } from './hashing/index.ts';
import type { Limits } from './limits/policy.ts';
import type { Providers } from './outbox/providers.ts';
import type { Inbox } from './ports/inbox.ts';
import type { KmsPort } from './ports/index.ts';
import type { Proofs } from './proofs.ts';
import type { RedisStore } from './redis.ts';
import type { Activity } from './sessions/activity.ts';
import type { Refresh } from './sessions/refresh.ts';
import type { SessionEnds } from './sessions/session-ends.ts';
import type { KeyManager, Tokens } from './tokens/index.ts';

export type Services = {
  config: Config;
  clock: Clock;
  db: Database;
  redis: RedisStore | null;
  engine: Engine;
  flows: FlowStore;
  accounts: AccountStore;
  users: UserStore;
  /** Plain account edits with their audit and outbox rows. */
  commitAccount: (edit: AccountEdit, context: SendContext) => Promise<{ sessionsEnded: number }>;
  sessions: ReturnType<typeof createSessionStore>;
  sessionEnds: SessionEnds;
  activity: Activity;
  refresh: Refresh;
  kyc: ReturnType<typeof createKycStore>;
  outbox: Outbox;
  limits: Limits;
  keyring: Keyring;
  keys: KeyManager;
  tokens: Tokens;
  hasher: Hasher;
  kms: KmsPort;
  proofs: Proofs;
  passwordLogins: PasswordLoginStore;
  /** Which durable failure windows belong to whom. */
  windows: DurableWindows;
  providers: Providers;
  /** Null when a real adapter delivers. */
  inbox: Inbox | null;
  adminToken: string | null;
  /** Key of the HMAC identity proof. */
  proofKey: string;
  /** What services that introspect tokens authenticate with. */
  introspectionTokens: readonly string[];
  webhookSecrets: readonly string[];
};
