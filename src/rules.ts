/** Which durable failure windows belong to whom: the identifier of a code, with or without the flow's token, and a PIN. */
import type { Window } from '../db/throttles.ts';
import type { Config } from './config.ts';

export const durableWindows = ({ limits }: Pick<Config, 'limits'>) => ({
  codeWindows: (contactId: string, holder: boolean): Window[] => {
    const who = holder ? 'code' : 'open';
    return [
      { key: `${who}:h:${contactId}`, ...limits.codeCheck },
      { key: `${who}:d:${contactId}`, ...limits.codeCheckDaily },
    ];
  },
  pinWindows: (accountId: string): Window[] => [{ key: `pin:${accountId}`, ...limits.secondFactor }],
});
