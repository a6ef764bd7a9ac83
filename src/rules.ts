/** Which durable failure windows belong to whom: the identifier of a code, a PIN, the identifier of a password login. */
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
  loginWindows: (contactId: string, deviceId: string | null): Window[] => {
    const key = deviceId === null ? `login:${contactId}` : `login:${contactId}:${deviceId}`;
    return [
      { key, ...limits.passwordLogin },
      // How often the one above was full of late; it only lengthens the next wait.
      { key: `${key}:full`, limit: 2 ** 31 - 1, windowMs: 86_400_000 },
    ];
  },
  pinWindows: (accountId: string): Window[] => [{ key: `pin:${accountId}`, ...limits.secondFactor }],
});
