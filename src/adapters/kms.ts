/**
 * The keeper of master keys that the configuration names. Local keys stay readable beside it, so that what was sealed
 * before a move to AWS or Vault opens until it is rewrapped.
 */
import type { Config } from '../config/index.ts';
import { DecryptionError, type KeyWrapper, type OwnedKey, type WrappedKey } from '../kernel/kms.ts';
import { createAwsWrapper } from './kms-aws.ts';
import { createLocalWrapper, type MasterKey } from './kms-local.ts';
import { createVaultWrapper } from './kms-vault.ts';

export type Keeper = KeyWrapper & { close(): Promise<void> };

export function createKeeper(config: Config['kms'], derived: MasterKey): Keeper {
  const keys = [...config.local, derived];
  const local = createLocalWrapper({ keys, activeId: (keys[0] as MasterKey).id });
  const outside = config.aws
    ? createAwsWrapper(config.aws)
    : config.vault
      ? createVaultWrapper(config.vault)
      : null;
  return outside
    ? { ...besideLocal(outside, local), close: async () => outside.close() }
    : { ...local, close: async () => {} };
}

const isLocal = ({ wrapped }: OwnedKey): boolean => wrapped.key.startsWith('local:');

/** Wraps by `outside` alone; opens what local keys have wrapped, and moves it over. */
export function besideLocal(outside: KeyWrapper, local: KeyWrapper): KeyWrapper {
  async function move(owned: OwnedKey): Promise<WrappedKey | DecryptionError> {
    let dataKey: Buffer;
    try {
      dataKey = await local.unwrap(owned);
    } catch (error) {
      if (error instanceof DecryptionError) return error;
      throw error;
    }
    try {
      return await outside.wrap(dataKey, owned.account);
    } finally {
      dataKey.fill(0);
    }
  }
  return {
    activeKey: outside.activeKey,
    wrap: outside.wrap,
    unwrap: (owned) => (isLocal(owned) ? local : outside).unwrap(owned),
    async rewrap(owned) {
      const theirs = owned.filter((one) => !isLocal(one));
      const rewrapped = (await outside.rewrap(theirs)).values();
      const results: (WrappedKey | DecryptionError)[] = [];
      for (const one of owned) {
        results.push(isLocal(one) ? await move(one) : (rewrapped.next().value as WrappedKey));
      }
      return results;
    },
  };
}
