/** The sweep goes on where the erasure of one account fails. */
import { expect, test } from 'vitest';
import { createSweep } from '../../src/engine/sweep.ts';
import { systemClock } from '../../src/kernel/clock.ts';

test('an account that cannot be erased blocks neither the others nor the purge', async () => {
  const did: string[] = [];
  const errors: object[] = [];
  const sweep = createSweep({
    flows: { claimDue: async () => [] },
    users: {
      toErase: async () => ['first', 'broken', 'last'],
      erase: async (id: string) => {
        if (id === 'broken') throw new Error('a row is locked');
        did.push(id);
      },
    },
    engine: {},
    clock: systemClock(),
    log: { warn: () => {}, error: (details: object) => errors.push(details) },
    purgeExpired: async () => void did.push('purged'),
    forgetContacts: async () => void did.push('forgotten'),
  } as never);
  await sweep();
  expect(did).toEqual(['first', 'last', 'forgotten', 'purged']);
  expect(errors).toEqual([{ accountId: 'broken', reason: 'a row is locked' }]);
});
