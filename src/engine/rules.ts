/** Which durable failure windows belong to whom: the identifier of a code, the factor or the account that is guessed at. */
import { counterKey } from '../../db/counter-keys.ts';
import type { Window } from '../../db/throttles.ts';
import { LOGIN_CODE } from '../../machines/login.ts';
import type { Config } from '../config/index.ts';

export type DurableWindows = ReturnType<typeof durableWindows>;

/** Guesses without the token at what may be one code: they start anew when another code is asked for. */
export const openKey = counterKey.anonymousPerCode;

/** Failures of one network. Guesses without the token must not use up what its holder has on the same network. */
const networkKey = (name: string, { holder, network }: CodeCaller): string =>
  holder ? counterKey.codeOfNetwork(name, network) : counterKey.anonymousOfNetwork(name, network);

/** Who enters a code. */
export type CodeCaller = {
  /** Whether the flow's token was presented. */
  holder: boolean;
  /** As `networkOf` gives it. */
  network: string;
  /** Whether the owner of the identifier has logged in from this device before. */
  knownDevice: boolean;
};

/** Parts of a day's checks: what one network may use, what strangers may use, and what fresh networks may use. */
const [OF_NETWORK, OF_STRANGERS, OF_FRESH] = [1 / 4, 1 / 2, 3 / 4];

export const durableWindows = ({ limits, code }: Pick<Config, 'limits' | 'code'>) => {
  const { limit: daily, windowMs } = limits.codeCheckDaily;
  const part = (of: number) => Math.max(1, Math.floor(daily * of));
  const perCode = {
    limit: code.attempts,
    windowMs: Math.min(Math.max(code.ttlS, code.emailTtlS) * 1000, windowMs),
  };
  /**
   * The limits of all failures and of this network's. The first half of the day's checks is for anybody. Of the second
   * one a known device has all, and token holders on networks without a failure have half, one check each: so neither
   * guesses without the token nor any number of networks lock an owner out.
   */
  const shares = (caller: CodeCaller, all: number, ofNetwork: number): [number, number] => {
    if (caller.knownDevice) return [daily, daily];
    if (caller.holder && all >= part(OF_STRANGERS) && ofNetwork === 0) return [part(OF_FRESH), 1];
    return [part(OF_STRANGERS), part(OF_NETWORK)];
  };
  return {
    /** Of a contact, or of whatever a caller without the token named. `failures`: what these windows hold, by key. */
    codeWindows: (name: string, caller: CodeCaller, failures: Record<string, number>): Window[] => {
      const keys = [counterKey.codeDaily(name), networkKey(name, caller)] as const;
      const limits = shares(caller, failures[keys[0]] ?? 0, failures[keys[1]] ?? 0);
      return [
        ...(caller.holder ? [] : [{ key: openKey(name), ...perCode }]),
        { key: keys[0], limit: limits[0], windowMs },
        { key: keys[1], limit: limits[1], windowMs },
      ];
    },
    /** `subjectId`: the account that owns the identifier, or the identifier while it has no owner. */
    loginWindows: (subjectId: string, deviceId: string | null): Window[] => {
      const key =
        deviceId === null ? counterKey.login(subjectId) : counterKey.loginOfDevice(subjectId, deviceId);
      return [
        { key, ...limits.passwordLogin },
        // How often the one above was full of late; it only lengthens the next wait.
        { key: `${key}:full`, limit: 2 ** 31 - 1, windowMs: 86_400_000 },
      ];
    },
    /** Wrong answers to one factor of an account; the PIN, which is no row, counts for the account itself. */
    factorWindow: (accountId: string, factorId: string): Window => ({
      key:
        factorId === 'pin'
          ? counterKey.pin(accountId)
          : factorId === LOGIN_CODE.id
            ? counterKey.loginCode(accountId)
            : counterKey.factor(factorId),
      ...limits.secondFactor,
    }),
  };
};
