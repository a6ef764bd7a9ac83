/** `vestibule migrate`: the schema of this build, before any replica of it starts. It changes no row except through a migration. */
import { argumentsOf, type Command, print } from './command.ts';

export const command: Command = {
  usage: `usage: vestibule migrate

  Replicas do the same at their start, one at a time. Running it first shows a failure before anything
  is replaced, and a role without the right to create tables can then run the service.`,
  async run(args) {
    argumentsOf({ args });
    const { migrateOnly } = await import('../wiring/start.ts');
    const applied = await migrateOnly();
    print(applied === 0 ? 'The database is at the newest schema.' : `Migrations applied: ${applied}.`);
    return undefined;
  },
};
