/** Which durable failure windows belong to whom: the identifier of a code, the factor or the account that is guessed at. */
import { failuresKey } from '../../db/factors.ts';
import type { Window } from '../../db/throttles.ts';
import type { Config } from '../config/index.ts';

export type DurableWindows = ReturnType<typeof durableWindows>;

/** Guesses without the token at what may be one code: they start anew when another code is asked for. */
export const openKey = (name: string): string => `open:c:${name}`;

export const durableWindows = ({ limits, code }: Pick<Config, 'limits' | 'code'>) => ({
  /** Of a contact; without the token also of whatever a caller named, known or not. */
  codeWindows: (contactId: string, holder: boolean): Window[] => {
    const who = holder ? 'code' : 'open';
    const lifeMs = Math.max(code.ttlS, code.emailTtlS) * 1000;
    const perCode = { limit: code.attempts, windowMs: Math.min(lifeMs, limits.codeCheck.windowMs) };
    return [
      ...(holder ? [] : [{ key: openKey(contactId), ...perCode }]),
      { key: `${who}:h:${contactId}`, ...limits.codeCheck },
      { key: `${who}:d:${contactId}`, ...limits.codeCheckDaily },
    ];
  },
  /** `subjectId`: the account that owns the identifier, or the identifier while it has no owner. */
  loginWindows: (subjectId: string, deviceId: string | null): Window[] => {
    const key = deviceId === null ? `login:${subjectId}` : `login:${subjectId}:${deviceId}`;
    return [
      { key, ...limits.passwordLogin },
      // How often the one above was full of late; it only lengthens the next wait.
      { key: `${key}:full`, limit: 2 ** 31 - 1, windowMs: 86_400_000 },
    ];
  },
  factorWindow: (accountId: string, factorId: string): Window => ({
    key: failuresKey(accountId, factorId),
    ...limits.secondFactor,
  }),
});
