/** What every slice is given: the assembled parts, as one plain object. Wired in `wiring/app.ts`, never reached globally. */
import type { FastifyBaseLogger } from 'fastify';
import type { AccountStore } from '../../db/accounts.ts';
import type { Database } from '../../db/client.ts';
import type { DeviceStore } from '../../db/devices.ts';
import type { FactorStore } from '../../db/factors.ts';
import type { FlowStore } from '../../db/flows.ts';
import type { createKycStore } from '../../db/kyc.ts';
import type { Outbox } from '../../db/outbox.ts';
import type { PasskeyLoginStore } from '../../db/passkey-logins.ts';
import type { PasswordLoginStore } from '../../db/password-logins.ts';
import type { Recipients } from '../../db/recipients.ts';
import type { RefreshStore } from '../../db/refresh.ts';
import type { createSessionStore } from '../../db/sessions.ts';
import type { TradingAccountStore } from '../../db/trading-accounts.ts';
import type { TradingShareStore } from '../../db/trading-shares.ts';
import type { UserStore } from '../../db/users.ts';
import type { Inbox } from '../adapters/inbox.ts';
import type { Adapters } from '../adapters/index.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Config } from '../config/index.ts';
import type { AccountEdit } from '../engine/account-commit.ts';
import type { Engine, SendContext } from '../engine/engine.ts';
import type { FactorCheck } from '../engine/factor-check.ts';
import type { Factors } from '../engine/factors/index.ts';
import type { Passkeys } from '../engine/factors/passkey.ts';
import type { Proofs } from '../engine/proofs.ts';
import type { DurableWindows } from '../engine/rules.ts';
import type { Activity } from '../engine/session-activity.ts';
import type { SessionEnds } from '../engine/session-revocation.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Keyring } from '../kernel/crypto/keyring.ts';
import type { Hasher } from '../kernel/hashing/index.ts';
import type { KeyWrapper, KmsPort } from '../kernel/kms.ts';
import type { KeyManager, Tokens } from '../kernel/tokens/index.ts';
import type { Vault } from '../kernel/vault/vault.ts';
import type { Actions } from './actions.ts';
import type { Limits } from './limits/policy.ts';

export type Services = {
  config: Config;
  clock: Clock;
  db: Database;
  redis: RedisStore | null;
  engine: Engine;
  /** What clients may do next, as the routes declare it. */
  actions: Actions;
  flows: FlowStore;
  accounts: AccountStore;
  users: UserStore;
  devices: DeviceStore;
  factorRows: FactorStore;
  /** Plain account edits with their audit and outbox rows. */
  commitAccount: (edit: AccountEdit, context: SendContext) => Promise<{ sessionsEnded: number }>;
  sessions: ReturnType<typeof createSessionStore>;
  sessionEnds: SessionEnds;
  activity: Activity;
  refreshes: RefreshStore;
  kyc: ReturnType<typeof createKycStore>;
  outbox: Outbox;
  limits: Limits;
  keyring: Keyring;
  keys: KeyManager;
  tokens: Tokens;
  hasher: Hasher;
  /** Seals values one by one, under the configured KMS. */
  kms: KmsPort;
  /** Seals the credentials of an account, under the configured KMS. */
  vault: Vault;
  /** The configured KMS itself. */
  keeper: KeyWrapper;
  tradingAccounts: TradingAccountStore;
  tradingShares: TradingShareStore;
  proofs: Proofs;
  /** What the kinds of factors can say of an answer. */
  factors: Factors;
  /** Checks an answer to a factor by a person who is signed in. */
  checkFactor: FactorCheck;
  /** Challenges of passkeys and what answers them. */
  passkeys: Passkeys;
  passkeyLogins: PasskeyLoginStore;
  passwordLogins: PasswordLoginStore;
  /** Which durable failure windows belong to whom. */
  windows: DurableWindows;
  /** Null when a real adapter delivers. */
  inbox: Inbox | null;
  /** What is outside the process; only the relay and provers call it. */
  adapters: Adapters;
  /** Which addresses and numbers a message may go to. */
  recipients: Recipients;
  /** Languages that messages are written in. */
  languages: readonly string[];
  log: FastifyBaseLogger;
  adminToken: string | null;
  /** Key of the HMAC identity proof. */
  proofKey: string;
  /** What services that introspect tokens authenticate with; null: none may. */
  introspectionToken: string | null;
  webhookSecrets: readonly string[];
};
