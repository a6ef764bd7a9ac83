/** What a kind of factor has to say for itself: how much an answer is worth, and how one is checked. A new kind is one of these. */
import type { FactorUse, StoredFactor } from '../../../db/factors.ts';
import type { Level } from '../../../machines/login.ts';
import type { TypedCode } from '../../kernel/crypto/typed-code.ts';

/** The clear secret of a factor; never kept longer than the check takes. */
export type OpenSecret = (factor: StoredFactor) => Promise<string>;

export type FactorKind = {
  kind: string;
  level: Level;
  /** RFC 8176 names of what an answer proves. */
  amr: readonly string[];
  /** Whether one can be answered at all: a used-up set of codes cannot. */
  usable?(factor: StoredFactor): boolean;
  /** The form of its codes; absent where no code is typed. */
  form?: TypedCode['form'];
  /** What a right code uses up; null for a wrong or a used one. Must change nothing. */
  check?(factor: StoredFactor, code: string, now: number, open: OpenSecret): Promise<FactorUse | null>;
};
