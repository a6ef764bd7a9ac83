/**
 * The local risk rules (S4, and again at S7): a pure function of facts.
 * Facts carry an age, a counter and two list verdicts, never a birth date, a name or a number.
 */
import type { IdentifierFacts, RiskPort, RiskVerdict } from './ports.ts';
import { RESERVED_BLOCKED_PREFIXES, reservedOutcome } from './reserved.ts';

export type RiskFacts = {
  /** Full years; null when the birth date is missing. */
  age: number | null;
  /** The birth date is asked for later: its absence is no finding yet. */
  birthDateLater?: boolean;
  /** Resends and wrong codes so far. */
  codeRetries: number;
  identifierBlocked: boolean;
  identifierFlagged?: boolean;
};

export type RiskRules = {
  minimumAge: number;
  maxCodeRetries: number;
  /** E.164 prefixes. */
  blockedPrefixes: readonly string[];
  /** Whether the reserved numbers for review and block mean what they stand for; demo only. */
  reservedNumbers: boolean;
};

export const DEFAULT_RISK_RULES: RiskRules = {
  minimumAge: 18,
  maxCodeRetries: 5,
  blockedPrefixes: RESERVED_BLOCKED_PREFIXES,
  reservedNumbers: false,
};

export type RiskReason =
  | 'underage'
  | 'identifier_blocked'
  | 'birth_date_missing'
  | 'code_retries'
  | 'identifier_flagged';

/** The most severe finding decides and nothing downgrades it; the reasons list every finding, severe ones first. */
export function evaluateRisk(
  facts: RiskFacts,
  rules: RiskRules = DEFAULT_RISK_RULES,
): RiskVerdict & { reasons: RiskReason[] } {
  const blocking: RiskReason[] = [];
  const doubtful: RiskReason[] = [];
  if (facts.age !== null && facts.age < rules.minimumAge) blocking.push('underage');
  if (facts.identifierBlocked) blocking.push('identifier_blocked');
  if (facts.age === null && !facts.birthDateLater) doubtful.push('birth_date_missing');
  if (facts.codeRetries > rules.maxCodeRetries) doubtful.push('code_retries');
  if (facts.identifierFlagged) doubtful.push('identifier_flagged');

  const decision = blocking.length > 0 ? 'BLOCK' : doubtful.length > 0 ? 'REVIEW' : 'ALLOW';
  return { decision, reasons: [...blocking, ...doubtful] };
}

/** What the lists say of an identifier (null: an entry without a phone). */
export function identifierFacts(
  phoneE164: string | null,
  rules: RiskRules = DEFAULT_RISK_RULES,
): IdentifierFacts {
  if (phoneE164 === null) return { blocked: false, flagged: false };
  const reserved = rules.reservedNumbers ? reservedOutcome(phoneE164) : null;
  return {
    blocked:
      reserved === 'risk_blocked' || rules.blockedPrefixes.some((prefix) => phoneE164.startsWith(prefix)),
    flagged: reserved === 'risk_review',
  };
}

/**
 * Full years in the UTC calendar; a person born on 29 February is a year older on 1 March of a common year.
 * Null for a missing birth date and for anything that is not a calendar date (`YYYY-MM-DD`).
 */
export function ageOn(birthDate: string | null, nowMs: number): number | null {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(birthDate ?? '');
  if (!parts) return null;
  const [year, month, day] = parts.slice(1).map(Number) as [number, number, number];
  const born = new Date(Date.UTC(2000, month - 1, day));
  born.setUTCFullYear(year, month - 1, day);
  if (born.getUTCMonth() !== month - 1 || born.getUTCDate() !== day) return null;
  const today = new Date(nowMs);
  const monthsPast = today.getUTCMonth() + 1 - month;
  const birthdayAhead = monthsPast < 0 || (monthsPast === 0 && today.getUTCDate() < day);
  return today.getUTCFullYear() - year - (birthdayAhead ? 1 : 0);
}

/** The rules behind the port, for deployments that take them as their provider. */
export const createLocalRisk = ({
  rules = DEFAULT_RISK_RULES,
  now,
}: {
  rules?: RiskRules;
  now: () => number;
}): RiskPort => ({
  evaluate: async (subject) =>
    evaluateRisk(
      {
        age: ageOn(subject.birthDate, now()),
        codeRetries: subject.codeRetries,
        identifierBlocked: subject.identifier.blocked,
        identifierFlagged: subject.identifier.flagged,
      },
      rules,
    ),
});
