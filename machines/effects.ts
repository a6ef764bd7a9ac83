/** The effect vocabulary: machines name these and their parameters; nothing here or in a machine runs them. */

/** Declares an effect for `setup({ actions })`; at run time it does nothing. */
export const effect =
  <P>() =>
  (_args: unknown, _params: P): void => {};

/** Mails by name; the relay renders them, always to the stored address. */
export type MailTemplate =
  | 'verification'
  | 'reset'
  | 'welcome'
  | 'password_changed'
  | 'contact_changed'
  | 'contact_change_undone'
  | 'account_deleted'
  | 'new_device'
  | 'factor_added'
  | 'factor_removed'
  | 'factor_waiting'
  | 'backup_codes_renewed'
  | 'already_registered';

/** What the owner of an account is told wherever it reads. */
export type Notice = Extract<
  MailTemplate,
  | 'password_changed'
  | 'contact_changed'
  | 'contact_change_undone'
  | 'account_deleted'
  | 'factor_added'
  | 'factor_removed'
  | 'factor_waiting'
  | 'backup_codes_renewed'
>;

/** What a one-time code is for. */
export const PURPOSES = ['login', 'signup', 'email', 'contact', 'proof'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** `tradingAccountId`: what it is about beside the account. */
type SecurityEvent = {
  type: string;
  accountId: string | null;
  tradingAccountId?: string;
  outcome?: 'success' | 'failure';
  reason?: string | null;
};

/** Effect name → parameters. Ids, verdicts, counters and times only: parameters may be logged and stored. */
export type Effects = {
  /** Enqueue a one-time code; the relay derives it from (flow, purpose, counter) when it sends. */
  sendCode: { contactId: string; purpose: Purpose; counter: number; expiresAt: number; capitals?: number[] };
  /** S1: the PreUser; claims the contact unless the contact still has to be proven. */
  createAccount: { accountId: string; contactId: string; claim: boolean };
  /** Attach a proven contact to the account; fails the commit when somebody else owns it by now. Null: none. */
  claimContact: { accountId: string; contactId: string | null; capitals?: number[] };
  /** Replace the flow's token by the one derived for this step. */
  grantToken: { ttlMs: number };
  /** Let the current token live on from this step. */
  extendToken: { ttlMs: number };
  /** Give the person who proved the identifier a token of the sign-up already under way. */
  handOver: { toFlowId: string; ttlMs: number };
  /** S2: write the enclosed password and PIN hashes. */
  storeCredentials: { accountId: string };
  /** S3: write the enclosed profile. */
  storeProfile: { accountId: string };
  /** Ask the external risk provider; the verdict comes back as RISK_EVALUATED. */
  requestRisk: { stage: 'signup' | 'kyc' };
  /** S5 / S8 and their reverse: the only effect that writes `accounts.tier`. */
  setTier: { accountId: string; tier: 'LIMITED' | 'FULL' };
  /** Open another flow in the same commit. */
  openFlow: { machine: string; flowId: string; event: { type: string } };
  /** S6: write the enclosed, sealed document. */
  recordKyc: { accountId: string; kycId: string };
  /** Ask the KYC provider; the verdict comes back as an event. */
  requestKyc: { accountId: string; kycId: string };
  /** S7: settle the record. */
  decideKyc: {
    kycId: string;
    status: 'VERIFIED' | 'REJECTED' | 'REVOKED';
    reason: string | null;
    retryable: boolean;
    by: string;
  };
  /** L5: a session with a fresh refresh family, and the device known from now on. */
  openSession: {
    sessionId: string;
    accountId: string;
    deviceId: string | null;
    amr: string[];
    acr: string;
    scope: string[];
    persistent: boolean;
    /** The end no use postpones, where the way in has one of its own. */
    endsAt: number | null;
    at: number;
  };
  /** A mail to the contact's stored address; what it says is looked up when it is sent. Null: nobody to write to. */
  sendMail: { template: MailTemplate; contactId: string | null };
  /**
   * To every proven address the account had before this step; by SMS when it had none. `linkTo`: the contacts among them
   * whose mail carries the flow's own link.
   */
  notifyOwner: { accountId: string; template: Notice; linkTo?: string[] };
  /** The account's new contact is the one of its type to use from now on. */
  preferContact: { accountId: string; contactId: string };
  /** Takes a contact from its account, which has another proven one or gets `successor` in the same commit. */
  releaseContact: { accountId: string; contactId: string; successor: string | null };
  /** Gives the account a contact it had, as its first choice; fails the commit when somebody else owns it by now. */
  restoreContact: { accountId: string; contactId: string; instead?: string };
  /** Password resets and logins under way that the contact has begun are over. */
  endProofs: { accountId: string; contactId: string };
  /** Codes under way for the account's contacts or for new ones, and logins under way, are over. */
  cancelPendingFlows: { accountId: string };
  /** Every live session of the account ends, or all but one. */
  endSessions: { accountId: string; reason: string; except?: string };
  /** Earlier active flows of this machine for the contact are over: their tokens die with this commit. */
  supersedeFlows: { contactId: string };
  /** A wrong answer to a factor, the next after `failures`; stale when another one was counted meanwhile. */
  countFactorFailure: { accountId: string; factorId: string; failures: number };
  /**
   * A right answer: the enclosed step or code is spent, and the failures start anew unless they were full by the time of
   * the commit. Null: nothing was answered.
   */
  useFactor: { accountId: string; factorId: string | null };
  /** Enqueue the code of a login that needs one beside its first factor. Null: none is due. */
  sendLoginCode: { contactId: string | null; expiresAt: number };
  /** A password that came back with a backup was right together with a code: it is trusted again. Null: none was. */
  confirmPassword: { accountId: string | null };
  /** A factor whose secret or key is enclosed; earlier ones of its kind that wait for their confirmation are dropped. */
  pendFactor: { accountId: string; factorId: string; kind: string };
  confirmFactor: { accountId: string; factorId: string };
  /** No answer to it counts any more; its secret goes. */
  endFactor: { accountId: string; factorId: string; state: 'disabled' | 'replaced' };
  /** Nobody can answer it until it is replaced. */
  lockFactor: { accountId: string; factorId: string };
  /** A setup that nobody confirmed leaves nothing behind. */
  dropFactor: { accountId: string; factorId: string };
  /** Enclosed backup codes, in place of any others. */
  storeBackupCodes: { accountId: string };
  dropBackupCodes: { accountId: string };
  /** What was proven before counts as one factor from now on, in every session but this one. */
  downgradeSessions: { accountId: string; except: string | null };
  /** A wrong code, counted durably per identifier over all flows and resends. */
  countFailure: { contactId: string; holder: boolean };
  /** A right code: the identifier's counters start anew, unless they were full by the time of the commit. */
  clearFailures: { contactId: string; holder: boolean };
  /**
   * A right password: the failures start anew, unless they were full by the time of the commit. They are those of the
   * account that owns the identifier, or of the identifier while it has no owner.
   */
  clearLoginFailures: { subjectId: string; deviceId: string | null };
  /** Whoever proved the mailbox and set a new password need not wait for the old one's wrong guesses. */
  endLoginWait: { accountId: string };
  /** The sign-up ended before LIMITED: its contacts are free again, what was known of the person is deleted. */
  releasePreUser: { accountId: string; contactId: string };
  /** What was registered for an address that somebody else has proven: the password, the profile and the user name go. */
  discardRegistration: { accountId: string };
  /** Archive what a reserved demo number left behind. */
  archiveContact: { contactId: string };
  /** The enclosed broker account with its sealed credentials. */
  storeLink: { accountId: string; linkId: string };
  /** The enclosed, sealed credentials take the place of the earlier ones. */
  replaceCredentials: { accountId: string; linkId: string };
  /** Ciphertexts and the wrapped data key are gone with this commit: nothing opens them again. */
  shredCredentials: { accountId: string; linkId: string };
  /** Everybody the account was shared with, or invited to it, loses it; each is audited. */
  endShares: { accountId: string; linkId: string };
  /** Ask the broker; the verdict comes back as CHECKED. */
  requestBrokerCheck: { accountId: string; linkId: string };
  /** One audit row, and one outbox event of the same type for consumers. */
  publish: SecurityEvent;
  /** One audit row only. */
  audit: SecurityEvent;
};

export type EffectName = keyof Effects;

/** Every effect as an action implementation for `setup`. */
export const effects: { [K in EffectName]: (args: unknown, params: Effects[K]) => void } = {
  sendCode: effect(),
  createAccount: effect(),
  claimContact: effect(),
  grantToken: effect(),
  extendToken: effect(),
  handOver: effect(),
  storeCredentials: effect(),
  storeProfile: effect(),
  requestRisk: effect(),
  setTier: effect(),
  openFlow: effect(),
  recordKyc: effect(),
  requestKyc: effect(),
  decideKyc: effect(),
  openSession: effect(),
  sendMail: effect(),
  notifyOwner: effect(),
  preferContact: effect(),
  releaseContact: effect(),
  restoreContact: effect(),
  endProofs: effect(),
  cancelPendingFlows: effect(),
  endSessions: effect(),
  supersedeFlows: effect(),
  countFactorFailure: effect(),
  useFactor: effect(),
  sendLoginCode: effect(),
  confirmPassword: effect(),
  pendFactor: effect(),
  confirmFactor: effect(),
  endFactor: effect(),
  lockFactor: effect(),
  dropFactor: effect(),
  storeBackupCodes: effect(),
  dropBackupCodes: effect(),
  downgradeSessions: effect(),
  countFailure: effect(),
  clearFailures: effect(),
  clearLoginFailures: effect(),
  endLoginWait: effect(),
  releasePreUser: effect(),
  discardRegistration: effect(),
  archiveContact: effect(),
  storeLink: effect(),
  replaceCredentials: effect(),
  shredCredentials: effect(),
  endShares: effect(),
  requestBrokerCheck: effect(),
  publish: effect(),
  audit: effect(),
};
