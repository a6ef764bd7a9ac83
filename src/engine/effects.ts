/** Turns the core effects into rows of the commit; slices do so with their own. Pure: no query, no clock, nothing flows back. */
import type { FlowRow } from '../../db/commit.ts';
import * as contacts from '../../db/contacts.ts';
import * as credentials from '../../db/credentials.ts';
import * as factors from '../../db/factors.ts';
import type * as kyc from '../../db/kyc.ts';
import { setToken } from '../../db/other-flows.ts';
import { endSurplus } from '../../db/session-limit.ts';
import * as sessions from '../../db/sessions.ts';
import * as throttles from '../../db/throttles.ts';
import type * as tradingAccounts from '../../db/trading-accounts.ts';
import type * as tradingShares from '../../db/trading-shares.ts';
import type { Effects } from '../../machines/effects.ts';
import type { DeclaredEffects } from '../../machines/index.ts';
import { LOGIN_CODE_COUNTER } from '../../machines/login.ts';
import { hashToken } from '../kernel/crypto/flow-token.ts';
import type { Keyring } from '../kernel/crypto/keyring.ts';
import { refreshHash, refreshTokenFor } from '../kernel/tokens/refresh-secret.ts';
import {
  accountChange,
  countFactorFailure,
  endSessions,
  enqueue,
  enqueueMessage,
  notifyOwner,
  publish,
  type RecordContext,
  recordAudit,
  recordSessionEnds,
} from './records.ts';
import { openKey } from './rules.ts';

/** Data that passes by the machine to an effect without entering a snapshot: hashes, sealed and personal data. */
export type Enclosures = {
  contact?: contacts.ContactPoint;
  credentials?: credentials.CredentialHashes;
  profile?: credentials.ProfileFields;
  kyc?: kyc.SealedDocument;
  /** A broker account with its sealed credentials, and credentials that replace them. */
  tradingAccount?: tradingAccounts.NewTradingAccount;
  rotated?: tradingAccounts.RotatedCredentials;
  /** Who else holds a share of what is unlinked, as it was read. */
  shares?: tradingShares.LiveShare[];
  /** The public name of a new account. */
  username?: string;
  /** What a right answer uses up. */
  factorUse?: factors.FactorUse;
  /** A factor that is set up: its sealed secret or public key. */
  factor?: factors.NewFactor;
  /** Id and keyed hashes of new backup codes. */
  backupCodes?: { id: string; hashes: readonly string[] };
  /** The windows that the check of a code was admitted by; the last two are the identifier's and its network's. */
  codeWindows?: throttles.Window[];
  /** Id of the provider's message that carried the event; a message counts once. */
  receiptId?: string;
};

export type EffectRules = {
  sessionIdleMs: number;
  sessionAbsoluteMs: number;
  /** Live sessions of one account. */
  sessionMax: number;
  factorWindow(accountId: string, factorId: string): throttles.Window;
  /** Failed password logins: of a device the account knows, or of everybody else together. */
  loginWindows(subjectId: string, deviceId: string | null): throttles.Window[];
};

export type EffectContext = RecordContext & {
  at: number;
  /** Sessions not ended yet of an account read for this decision, expired ones included; infinite when not counted. */
  sessionsOf(accountId: string): number;
  flow: FlowRow;
  enclosures: Enclosures;
};

type HandlersOf<E> = { [K in Exclude<keyof E, 'openFlow'>]: (params: E[K], context: EffectContext) => void };
/** One for every effect that a machine declares; `openFlow` is the engine's own. */
export type EffectHandlers = HandlersOf<DeclaredEffects>;
type CoreHandlers = HandlersOf<Effects>;
/** What a slice may handle: declared by a machine and not handled by the engine. */
export type OwnEffects = Partial<Omit<EffectHandlers, keyof Effects>>;

const now = (c: EffectContext): Date => c.changes.now;
const account = accountChange;
const audit = recordAudit;

/** An effect asked for data its event did not enclose: a bug of the caller, never of a client. */
export function enclosed<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`effect without its enclosure: ${name}`);
  return value;
}

export function createEffectHandlers(deps: { keyring: Keyring; rules: EffectRules }): CoreHandlers {
  const { keyring, rules } = deps;
  return {
    sendCode: (p, c) => {
      // Any caller may ask for the first code of a flow: it renews the budget of callers without the flow's token.
      // Only the holder of that token may ask for a resend.
      if (p.counter === 1) c.changes.rows.push(throttles.reset(openKey(p.contactId)));
      enqueueMessage(c, 'code.send', p);
    },
    createAccount: (p, c) => {
      c.changes.accounts.set(p.accountId, {
        insert: { id: p.accountId, status: 'active', tier: 'UNVERIFIED', createdAt: now(c) },
        patch: c.enclosures.username === undefined ? {} : { username: c.enclosures.username },
        expectedSeq: 0,
        events: 0,
      });
      if (p.claim) {
        // A number has one spelling; an imported address brings its own.
        const value = c.enclosures.contact?.value;
        const proven = value === undefined ? { capitals: [] } : { value };
        c.changes.rows.push(contacts.claim(p.contactId, p.accountId, now(c), proven));
      }
    },
    claimContact: (p, c) => {
      const { capitals = [] } = p;
      if (p.contactId !== null)
        c.changes.rows.push(contacts.claim(p.contactId, p.accountId, now(c), { capitals }));
    },
    grantToken: (p, c) => {
      c.flow.tokenGeneration = c.at;
      c.flow.tokenHash = hashToken(keyring.flowTokenFor(c.flow.id, c.at));
      c.flow.tokenExpiresAt = new Date(c.at + p.ttlMs);
    },
    extendToken: (p, c) => {
      c.flow.tokenExpiresAt = new Date(c.at + p.ttlMs);
    },
    handOver: (p, c) => {
      c.changes.rows.push(
        setToken(p.toFlowId, {
          tokenGeneration: c.at,
          tokenHash: hashToken(keyring.flowTokenFor(p.toFlowId, c.at)),
          tokenExpiresAt: new Date(c.at + p.ttlMs),
        }),
      );
    },
    storeCredentials: (p, c) => {
      const hashes = enclosed(c.enclosures.credentials, 'credentials');
      c.changes.rows.push(credentials.storeHashes(p.accountId, hashes, now(c)));
    },
    requestRisk: (p, c) => enqueue(c, 'risk.evaluate', null, p),
    setTier: (p, c) => {
      account(c, p.accountId).patch.tier = p.tier;
    },
    openSession: (p, c) => {
      account(c, p.accountId).patch.lastLoginAt = now(c);
      if (c.sessionsOf(p.accountId) >= rules.sessionMax) {
        recordSessionEnds(c, p.accountId, 'limit');
        c.changes.before.push(endSurplus(p.accountId, rules.sessionMax, now(c)));
      }
      const idleEnd = c.at + rules.sessionIdleMs;
      const end = p.endsAt ?? (p.persistent ? c.at + rules.sessionAbsoluteMs : idleEnd);
      c.changes.rows.push(
        sessions.open({
          id: p.sessionId,
          accountId: p.accountId,
          flowId: c.flow.id,
          deviceId: p.deviceId,
          userAgent: c.envelope.userAgent,
          network: c.envelope.network,
          country: c.envelope.country,
          amr: p.amr,
          acr: p.acr,
          authTime: new Date(p.at),
          persistent: p.persistent,
          scope: p.scope,
          createdAt: now(c),
          lastActiveAt: now(c),
          idleExpiresAt: new Date(Math.min(idleEnd, end)),
          expiresAt: new Date(end),
          refreshGeneration: 1,
          refreshHash: refreshHash(refreshTokenFor(keyring.key('refresh'), p.sessionId, 1)),
          refreshRotatedAt: now(c),
        }),
      );
      if (p.deviceId) c.changes.rows.push(sessions.rememberDevice(p.accountId, p.deviceId, now(c)));
    },
    sendMail: (p, c) => {
      if (p.contactId !== null) enqueueMessage(c, 'mail.send', p);
    },
    notifyOwner: (p, c) => notifyOwner(c, p),
    endSessions: (p, c) => endSessions(c, p),
    countFactorFailure: (p, c) => countFactorFailure(c, rules, p),
    useFactor: (p, c) => {
      if (p.factorId === null) return;
      c.changes.rows.push(throttles.giveBack([rules.factorWindow(p.accountId, p.factorId)], now(c)));
      // A PIN is not used up.
      if (c.enclosures.factorUse) c.changes.rows.push(factors.use(c.enclosures.factorUse, now(c)));
    },
    sendLoginCode: (p, c) => {
      if (p.contactId === null) return;
      enqueueMessage(c, 'code.send', { ...p, purpose: 'login', counter: LOGIN_CODE_COUNTER });
      audit(c, { type: 'code.sent', accountId: null });
    },
    confirmPassword: (p, c) => {
      if (p.accountId !== null) c.changes.rows.push(credentials.confirm(p.accountId));
    },
    pendFactor: (p, c) => {
      const row = enclosed(c.enclosures.factor, 'factor');
      c.changes.before.push(
        ...factors.pend({ id: p.factorId, accountId: p.accountId, kind: p.kind }, row, now(c)),
      );
    },
    confirmFactor: (p, c) => {
      const used = c.enclosures.factorUse;
      const step = used && 'step' in used ? used.step : null;
      c.changes.rows.push(factors.confirm(p.factorId, step, now(c), c.enclosures.factor));
    },
    endFactor: (p, c) => {
      c.changes.rows.push(factors.end(p.factorId, p.state, now(c)));
    },
    lockFactor: (p, c) => {
      c.changes.rows.push(factors.lock(p.factorId));
    },
    dropFactor: (p, c) => {
      c.changes.rows.push(factors.drop(p.factorId));
    },
    storeBackupCodes: (p, c) => {
      const codes = enclosed(c.enclosures.backupCodes, 'backupCodes');
      c.changes.rows.push(factors.storeCodes({ accountId: p.accountId, ...codes }, now(c)));
    },
    dropBackupCodes: (p, c) => {
      c.changes.rows.push(factors.dropCodes(p.accountId, now(c)));
    },
    downgradeSessions: (p, c) => {
      c.changes.rows.push(sessions.downgrade(p.accountId, now(c), p.except));
    },
    countFailure: (_, c) => {
      c.changes.rows.push(throttles.countWithin(enclosed(c.enclosures.codeWindows, 'codeWindows'), now(c)));
    },
    clearFailures: (_, c) => {
      const windows = enclosed(c.enclosures.codeWindows, 'codeWindows');
      const [shared = '', own = ''] = windows.slice(-2).map(({ key }) => key);
      c.changes.rows.push(throttles.giveBack(windows, now(c), { shared, own }));
    },
    clearLoginFailures: (p, c) => {
      c.changes.rows.push(throttles.clear(rules.loginWindows(p.subjectId, p.deviceId), now(c)));
    },
    endLoginWait: (p, c) => {
      c.changes.rows.push(...rules.loginWindows(p.accountId, null).map(({ key }) => throttles.reset(key)));
    },
    releasePreUser: (p, c) => {
      Object.assign(account(c, p.accountId).patch, { status: 'archived', username: null });
      c.changes.rows.push(contacts.release(p.accountId, now(c)));
      c.changes.rows.push(credentials.forget(p.accountId), credentials.forgetProfile(p.accountId));
    },
    publish: (p, c) => publish(c, p),
    audit: (p, c) => audit(c, p),
  };
}
