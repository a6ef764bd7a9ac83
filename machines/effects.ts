/**
 * The effects that several machines name, with their parameters; the engine handles them. An effect of one machine alone
 * is declared in that machine's file and handled by its slice. Nothing here or in a machine runs one.
 */

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

/** Name of a core effect → parameters. Ids, verdicts, counters and times only: parameters may be logged and stored. */
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
  /** Ask the external risk provider; the verdict comes back as RISK_EVALUATED. */
  requestRisk: { stage: 'signup' | 'kyc' };
  /** S5 / S8 and their reverse: the only effect that writes `accounts.tier`. */
  setTier: { accountId: string; tier: 'LIMITED' | 'FULL' };
  /** Open another flow in the same commit. */
  openFlow: { machine: string; flowId: string; event: { type: string } };
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
  /** Every live session of the account ends, or all but one. */
  endSessions: { accountId: string; reason: string; except?: string };
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
  /** One audit row, and one outbox event of the same type for consumers. */
  publish: {
    type: string;
    accountId: string | null;
    outcome?: 'success' | 'failure';
    reason?: string | null;
  };
  /** One audit row only. */
  audit: { type: string; accountId: string | null; outcome?: 'success' | 'failure'; reason?: string | null };
};

type Actions<E> = { [K in keyof E]: (args: unknown, params: E[K]) => void };

/**
 * `setup({ actions })`: the core effects and the machine's own, as types. XState passes on an action that it has no
 * implementation for, so there is no list of them at run time.
 */
export const effects = <Own extends object = object>() => ({}) as Actions<Effects & Own>;
