/** The one-time code as both the challenge and the sign-up machine keep it: a counter and budgets, never the code. */
import { z } from 'zod';
import { count, duration, hidden, word } from './fields.ts';
import { SAMPLE } from './samples.ts';

export const codeSchema = z.strictObject({
  /** Which code is current; a resend increments it and so kills the one before. 0: none was issued. */
  counter: z.int().min(0),
  /** Checks left to whoever holds the flow's token. */
  attemptsLeft: z.int().min(0),
  /** Checks left to callers who only name the identifier; spending them never touches the holder's. */
  openAttemptsLeft: z.int().min(0),
  expiresAt: z.int(),
  lockedUntil: z.int().nullable(),
});
export type Code = z.infer<typeof codeSchema>;

/**
 * Which letters of an address are capitals: as much of its spelling as a flow may know. A mailbox whose name is
 * case-sensitive is reached, and proven, in the spelling given for this flow and no other.
 */
export const capitalsSchema = z.array(z.int().min(1).max(254)).optional();
hidden.add(capitalsSchema, { reason: 'says something of how a person writes an address' });
type Capitals = { capitals?: number[] | undefined };
export const spelling = ({ capitals }: Capitals): { capitals?: number[] } =>
  capitals?.length ? { capitals } : {};

export const NO_CODE: Code = {
  counter: 0,
  attemptsLeft: 0,
  openAttemptsLeft: 0,
  expiresAt: 0,
  lockedUntil: null,
};

/** What the caller decides about a code it asks to be issued. */
export const codeTermsSchema = z.strictObject({ ttlMs: duration, attempts: count, openAttempts: count });
export type CodeTerms = z.infer<typeof codeTermsSchema>;
export const SAMPLE_TERMS: CodeTerms = { ttlMs: 5 * 60_000, attempts: 5, openAttempts: 5 };

/** The verdict on a submitted code; built by `src/engine/proofs.ts` alone. `counter` is the one it was checked against. */
export const codeVerdictSchema = z.strictObject({
  counter: z.int(),
  matches: z.boolean(),
  holder: z.boolean(),
  lockMs: duration,
});
export type CodeVerdict = z.infer<typeof codeVerdictSchema>;
export const sampleVerdict = (code?: { counter: number }): CodeVerdict => ({
  counter: code?.counter ?? 1,
  matches: true,
  holder: true,
  lockMs: 60 * 60_000,
});

/** A code that was issued a moment ago, or one that was guessed at too often. */
export const usualCode = (state: string, now: number): Code => {
  const locked = state.endsWith('locked');
  return {
    counter: 1,
    attemptsLeft: locked ? 0 : 5,
    openAttemptsLeft: 5,
    expiresAt: now + 5 * 60_000,
    lockedUntil: locked ? now + 60 * 60_000 : null,
  };
};

/** The flow that an accepted event opens in the same commit, with its first event. */
export const openingSchema = z.strictObject({
  flowId: word,
  event: z.looseObject({ type: z.string() }),
});
export const SAMPLE_OPENING = { flowId: SAMPLE.flow, event: { type: 'PRIMARY_PROVED' } };

export const issued = (code: Code, terms: CodeTerms, now: number): Code => ({
  counter: code.counter + 1,
  attemptsLeft: terms.attempts,
  openAttemptsLeft: terms.openAttempts,
  expiresAt: now + terms.ttlMs,
  lockedUntil: null,
});

const budget = (code: Code, verdict: CodeVerdict): number =>
  verdict.holder ? code.attemptsLeft : code.openAttemptsLeft;

/** Current counter, not expired, budget left, and the value matched: whatever ran in parallel. */
export const accepted = (code: Code, verdict: CodeVerdict, now: number): boolean =>
  verdict.matches && verdict.counter === code.counter && now < code.expiresAt && budget(code, verdict) > 0;

/** Whether this check is the holder's last. */
export const exhausts = (code: Code, verdict: CodeVerdict): boolean =>
  verdict.holder && code.attemptsLeft <= 1;

export const spent = (code: Code, verdict: CodeVerdict, now: number): Code => {
  const attemptsLeft = verdict.holder ? Math.max(0, code.attemptsLeft - 1) : code.attemptsLeft;
  return {
    ...code,
    attemptsLeft,
    openAttemptsLeft: verdict.holder ? code.openAttemptsLeft : Math.max(0, code.openAttemptsLeft - 1),
    lockedUntil: verdict.holder && attemptsLeft === 0 ? now + verdict.lockMs : code.lockedUntil,
  };
};

export const unlocked = (code: Code, now: number): boolean =>
  code.lockedUntil === null || now >= code.lockedUntil;
