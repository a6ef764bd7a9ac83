/** Factors as a decision sees them: what may answer, whether an answer is right, and what it uses up. */
import type { FactorUse, StoredFactor } from '../../../db/factors.ts';
import type { Factor } from '../../../machines/login.ts';
import type { Keyring } from '../../kernel/crypto/keyring.ts';
import type { TypedCode } from '../../kernel/crypto/typed-code.ts';
import type { KmsPort } from '../../kernel/kms.ts';
import { backupCodes } from './backup-codes.ts';
import type { FactorKind, OpenSecret } from './kind.ts';
import { totp } from './totp.ts';

/** Known without a row: a PIN is kept with the password. */
export const PIN: Factor = { id: 'pin', kind: 'pin', level: 'presence', amr: ['pin'] };

export const sealContext = (factorId: string): string => `factor|${factorId}`;

/** `use` is null when the answer was wrong. */
export type FactorVerdict = { factor: StoredFactor; use: FactorUse | null };

export type Factors = ReturnType<typeof createFactors>;

export function createFactors({ keyring, kms }: { keyring: Keyring; kms: KmsPort }) {
  const kinds = new Map<string, FactorKind>(
    [totp, backupCodes(keyring.key('backup_codes'))].map((kind) => [kind.kind, kind]),
  );

  const usable = (factor: StoredFactor): FactorKind | null => {
    const kind = kinds.get(factor.kind);
    if (!kind || factor.state !== 'active') return null;
    return kind.usable && !kind.usable(factor) ? null : kind;
  };

  return {
    /** What a login may be answered with. */
    ways: (stored: readonly StoredFactor[]): Factor[] =>
      stored.flatMap((factor) => {
        const kind = usable(factor);
        if (!kind) return [];
        const { id, contactId } = factor;
        return [
          { id, kind: kind.kind, level: kind.level, amr: [...kind.amr], ...(contactId ? { contactId } : {}) },
        ];
      }),

    /** Whether a second factor is enrolled, usable or not; backup codes only stand in for one. */
    enrolled: (stored: readonly StoredFactor[]): boolean =>
      stored.some(({ kind }) => kind !== 'backup_codes' && kinds.get(kind)?.level === 'second'),

    /** RFC 8176 names of what an answer to it proves. */
    amrOf: ({ kind }: Pick<StoredFactor, 'kind'>): readonly string[] => kinds.get(kind)?.amr ?? [],

    /** Opens sealed secrets, each once: a decision that is taken again, under locks by then, calls nothing outside. */
    opener(): OpenSecret {
      const opened = new Map<string, Promise<string>>();
      return (factor) => {
        const sealed = factor.secretSealed ?? '';
        const known = opened.get(sealed) ?? kms.decrypt(sealed, sealContext(factor.id));
        opened.set(sealed, known);
        return known;
      };
    },

    /**
     * Whose code this is, and whether it is right. A code of a form that no factor of the account has counts against the
     * first of them; null when there is none at all.
     */
    async verdict(
      stored: readonly StoredFactor[],
      code: TypedCode,
      now: number,
      open: OpenSecret,
    ): Promise<FactorVerdict | null> {
      const typed = stored.filter((f) => f.state === 'active' && kinds.get(f.kind)?.form !== undefined);
      const factor = typed.find((f) => kinds.get(f.kind)?.form === code.form);
      if (!factor) return typed[0] ? { factor: typed[0], use: null } : null;
      const check = kinds.get(factor.kind)?.check;
      return { factor, use: (await check?.(factor, code.text, now, open)) ?? null };
    },
  };
}
