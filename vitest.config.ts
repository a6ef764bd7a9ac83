/** Tests run on a real Postgres, started or found once per run by tests/setup/global.ts. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: 'tests/setup/global.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Deadlines that a machine busy with other work meets: a test that hangs is found all the same.
    testTimeout: 120_000,
    // A shared machine may pause for seconds; a test that fails twice in a row has failed.
    retry: process.env.CI === 'true' ? 1 : 0,
    hookTimeout: 120_000,
  },
});
