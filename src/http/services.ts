/** What routes are given: the assembled parts, as one plain object. Wired in `app.ts`, never reached globally. */
import type { AccountStore } from '../../db/accounts.ts';
import type { Database } from '../../db/client.ts';
import type { FlowStore } from '../../db/flows.ts';
import type { createKycStore } from '../../db/kyc.ts';
import type { Outbox } from '../../db/outbox.ts';
import type { PasswordLoginStore } from '../../db/password-logins.ts';
import type { createSessionStore } from '../../db/sessions.ts';
import type { UserStore } from '../../db/users.ts';
import type { Inbox } from '../adapters/inbox.ts';
import type { KmsPort } from '../adapters/ports.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Config } from '../config/index.ts';
import type { AccountEdit } from '../engine/account-commit.ts';
import type { Engine, SendContext } from '../engine/engine.ts';
import type { Proofs } from '../engine/proofs.ts';
import type { DurableWindows } from '../engine/rules.ts';
import type { Activity } from '../engine/session-activity.ts';
import type { SessionEnds } from '../engine/session-revocation.ts';
import type { Providers } from '../features/kyc/verdicts.ts';
import type { Refresh } from '../features/sessions/refresh.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Keyring } from '../kernel/crypto/keyring.ts';
import type { Hasher } from '../kernel/hashing/index.ts';
import type { KeyManager, Tokens } from '../kernel/tokens/index.ts';
import type { Limits } from './limits/policy.ts';

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
  /** What services that introspect tokens authenticate with; null: none may. */
  introspectionToken: string | null;
  webhookSecrets: readonly string[];
};
