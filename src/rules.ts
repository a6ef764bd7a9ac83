/** Which durable failure windows belong to whom: the identifier of a code, the account of a PIN or a password. */
import type { Window } from '../db/throttles.ts';
import type { Config } from './config.ts';

export type DurableWindows = ReturnType<typeof durableWindows>;

export const durableWindows = ({ limits }: Pick<Config, 'limits'>) => ({
  codeWindows: (contactId: string, holder: boolean): Window[] => {
    const who = holder ? 'code' : 'open';
    return [
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
  pinWindows: (accountId: string): Window[] => [{ key: `pin:${accountId}`, ...limits.secondFactor }],
});
