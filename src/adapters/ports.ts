/** What leaves the process: one interface per outside system. Called by the relay only, never inside a request. */

/** Thrown by an adapter; `retry: false` makes the outbox row dead at once. */
export class DeliveryError extends Error {
  readonly retry: boolean;
  constructor(message: string, retry: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DeliveryError';
    this.retry = retry;
  }
}

/**
 * `id` is the outbox id, stable over retries, for providers that deduplicate.
 * `code` repeats the code inside `text` for the local inbox; adapters that leave the machine must ignore it.
 */
export type SmsMessage = { id: string; to: string; text: string; code?: string };
export interface SmsPort {
  send(message: SmsMessage): Promise<void>;
}

/** `id` and `code` as in `SmsMessage`. */
export type MailMessage = {
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  code?: string;
};
export interface MailPort {
  send(message: MailMessage): Promise<void>;
  /** Ends kept-open connections; a delivery under way is given up and stays in the outbox. */
  close?(): void;
}

export const KYC_DOCUMENTS = ['PAN', 'AADHAAR', 'PASSPORT'] as const;
export type KycDocument = (typeof KYC_DOCUMENTS)[number];

/** `applicantId` is issued by us; the provider names nothing else in its verdict. */
export type KycSubmission = {
  id: string;
  applicantId: string;
  documentType: KycDocument;
  documentNumber: string;
};

/** What a provider answers, by webhook or (local adapter) at once. `sequence` orders verdicts of one applicant. */
export type KycVerdict = {
  eventId: string;
  applicantId: string;
  sequence: number;
  decision: 'APPROVED' | 'REJECTED' | 'REVIEW' | 'REVOKED';
  /** Only with REJECTED: whether the person may submit again. */
  retryable: boolean;
  reason: string | null;
};
export interface KycPort {
  /** Resolves to a verdict when the adapter knows it at once, else null: the verdict comes by webhook. */
  submit(submission: KycSubmission): Promise<KycVerdict | null>;
}

export type RiskSubject = {
  id: string;
  flowId: string;
  stage: 'signup' | 'kyc';
  country: string | null;
  birthDate: string | null;
  codeRetries: number;
  /** What the identifier lists say; read where the identifier is known, so that it never travels. */
  identifier: IdentifierFacts;
};
/** `blocked`: on a block list. `flagged`: a person has to look at it. */
export type IdentifierFacts = { blocked: boolean; flagged: boolean };
export type RiskVerdict = { decision: 'ALLOW' | 'REVIEW' | 'BLOCK'; reasons: string[] };
export interface RiskPort {
  evaluate(subject: RiskSubject): Promise<RiskVerdict>;
}

export const BROKERS = ['kite', 'paper'] as const;
export type BrokerName = (typeof BROKERS)[number];

/** The broker does not accept the credentials: an expired token and a wrong key look alike. The message quotes neither. */
export class BrokerRefused extends Error {
  override readonly name = 'BrokerRefused';
}

/** No answer that says anything about the credentials: an outage, a limit, something else than documented. */
export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
  /** Seconds after which the broker wants to be asked again; null when it said nothing. */
  readonly retryAfterS: number | null;
  constructor(message: string, retryAfterS: number | null = null, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterS = retryAfterS;
  }
}

/** What a signed-in call of a broker is made with. */
export type BrokerToken = { apiKey: string; accessToken: string };

/** Every call throws BrokerRefused or BrokerUnavailable. */
export interface BrokerPort {
  /** Turns a request token, which works once and lives for minutes, into an access token. Never repeated. */
  exchange(login: {
    apiKey: string;
    apiSecret: string;
    requestToken: string;
  }): Promise<{ accessToken: string; userId: string }>;
  /** Whose token it is; the proof that it works. */
  profile(token: BrokerToken): Promise<{ userId: string }>;
  /** Ends the token at the broker. */
  invalidate(token: BrokerToken): Promise<void>;
  /** When an access token that works at `now` ends at the latest, in milliseconds since the epoch. */
  endOf(now: number): number;
  /** Ends kept-open connections. */
  close?(): Promise<void>;
}
