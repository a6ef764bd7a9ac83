/** Fields of contexts and events, by what they hold: ids, words, counters, times. Never personal data, never a secret. */
import { z } from 'zod';

const DAY = 24 * 60 * 60_000;

/** An id of ours, or a word of the machines' own vocabulary: a reason, a reviewer, a provider. */
export const word = z.string();
/** Milliseconds since 1970. */
export const moment = z.int();
/** Milliseconds. */
export const duration = z
  .int()
  .min(1)
  .max(400 * DAY);
export const count = z.int().min(0).max(1000);

/** A field that no console, event stream or inspector shows, although it is neither personal nor secret. */
export const hidden = z.registry<{ reason: string }>();
