/** Turns each effect a machine named into rows of the commit. Pure: no query, no clock, nothing flows back. */
import type { FlowRow } from '../../db/commit.ts';
import { cancelPendingFlows, endProofs } from '../../db/contact-changes.ts';
import * as contacts from '../../db/contacts.ts';
import * as credentials from '../../db/credentials.ts';
import * as kyc from '../../db/kyc.ts';
import { archiveOthers, setToken } from '../../db/other-flows.ts';
import { endSurplus } from '../../db/session-limit.ts';
import * as sessions from '../../db/sessions.ts';
import * as throttles from '../../db/throttles.ts';
import type { EffectName, Effects } from '../../machines/effects.ts';
import { hashToken } from '../kernel/crypto/flow-token.ts';
import type { Keyring } from '../kernel/crypto/keyring.ts';
import {
  accountChange,
  endSessions,
  enqueue,
  enqueueMessage,
  notifyOwner,
  type RecordContext,
  recordAudit,
  recordSessionEnds,
} from './records.ts';
import { openKey } from './rules.ts';

export type { Envelope } from './records.ts';

import { refreshHash, refreshTokenFor } from '../kernel/tokens/refresh-secret.ts';

/** Data that passes by the machine to an effect without entering a snapshot: hashes, sealed and personal data. */
export type Enclosures = {
  contact?: contacts.ContactPoint;
  credentials?: credentials.CredentialHashes;
  profile?: credentials.ProfileFields;
  kyc?: kyc.SealedDocument;
  /** The public name of a new account. */
  username?: string;
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
  pinWindows(accountId: string): throttles.Window[];
  /** Failed password logins: of a device the account knows, or of everybody else together. */
  loginWindows(subjectId: string, deviceId: string | null): throttles.Window[];
};

export type EffectContext = RecordContext & {
  at: number;
  /** Sessions nobody has ended of an account read for this decision, expired ones included; infinite when not counted. */
  sessionsOf(accountId: string): number;
  flow: FlowRow;
  enclosures: Enclosures;
};

type Handlers = {
  [K in Exclude<EffectName, 'openFlow'>]: (params: Effects[K], context: EffectContext) => void;
};
export type EffectHandlers = Handlers;

const now = (c: EffectContext): Date => c.changes.now;
const account = accountChange;
const audit = recordAudit;

/** An effect asked for data its event did not enclose: a bug of the caller, never of a client. */
function enclosed<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`effect without its enclosure: ${name}`);
  return value;
}

export function createEffectHandlers(deps: { keyring: Keyring; rules: EffectRules }): Handlers {
  const { keyring, rules } = deps;
  return {
    sendCode: (p, c) => {
      // The first code of a flow is for anybody to ask for; its resends are the token holder's, and nobody else's news.
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
    storeProfile: (p, c) => {
      const profile = enclosed(c.enclosures.profile, 'profile');
      c.changes.rows.push(credentials.storeProfile(p.accountId, profile, now(c)));
    },
    requestRisk: (p, c) => enqueue(c, 'risk.evaluate', null, p),
    setTier: (p, c) => {
      account(c, p.accountId).patch.tier = p.tier;
    },
    recordKyc: (p, c) => {
      const document = enclosed(c.enclosures.kyc, 'kyc');
      c.changes.rows.push(
        kyc.record({ id: p.kycId, accountId: p.accountId, flowId: c.flow.id, ...document }, now(c)),
      );
    },
    requestKyc: (p, c) => enqueue(c, 'kyc.submit', p.accountId, { kycId: p.kycId }),
    decideKyc: (p, c) => {
      c.changes.rows.push(kyc.decide(p.kycId, p, now(c)));
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
    preferContact: (p, c) => {
      c.changes.rows.push(contacts.demoteOthers(p.contactId, p.accountId));
    },
    releaseContact: (p, c) => {
      c.changes.rows.push(contacts.removeOne(p.contactId, p.accountId, now(c), p.successor));
    },
    restoreContact: (p, c) => {
      c.changes.rows.push(
        contacts.restore(p.contactId, p.accountId, now(c)),
        contacts.demoteOthers(p.contactId, p.accountId, p.instead),
      );
    },
    endProofs: (p, c) => {
      c.changes.rows.push(endProofs(p.contactId, p.accountId));
    },
    cancelPendingFlows: (p, c) => {
      c.changes.rows.push(cancelPendingFlows(p.accountId));
    },
    endSessions: (p, c) => endSessions(c, p),
    supersedeFlows: (p, c) => {
      c.changes.rows.push(archiveOthers(c.flow, p.contactId));
    },
    countPin: (p, c) => {
      const windows = rules.pinWindows(p.accountId);
      const settle = p.reset ? throttles.giveBack : throttles.countWithin;
      c.changes.rows.push(settle(windows, now(c)));
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
    discardRegistration: (p, c) => {
      account(c, p.accountId).patch.username = null;
      c.changes.rows.push(credentials.forget(p.accountId), credentials.forgetProfile(p.accountId));
    },
    archiveContact: (p, c) => {
      c.changes.before.push(...contacts.archive(p.contactId, now(c)));
    },
    publish: (p, c) => {
      audit(c, p);
      enqueue(c, 'event', p.accountId, {
        type: p.type,
        outcome: p.outcome ?? 'success',
        reason: p.reason ?? null,
      });
    },
    audit: (p, c) => audit(c, p),
  };
}
