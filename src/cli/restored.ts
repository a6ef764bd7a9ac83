/**
 * `vestibule restored`: after a backup was restored and before the service starts. What was issued before it ends; it
 * must never run by itself, since only the operator knows that the data came from a backup.
 */
import { stampRestored } from '../../db/restored.ts';
import type { Services } from '../http/services.ts';
import { uuidv7 } from '../kernel/crypto/uuid7.ts';
import { argumentsOf, type Command, EXIT, print } from './command.ts';

const USAGE = `usage: vestibule restored

  Ends what was issued before now: sessions, refresh tokens, links, codes. Each password needs a code at its first
  login afterwards. Stop every replica first. docs/operations.md has the whole procedure.`;

type Parts = { services: Pick<Services, 'clock'>; databaseUrl: string };

/** What was done, as one line for the operator. */
export async function stamp({ services, databaseUrl }: Parts): Promise<string> {
  const now = new Date(services.clock.now());
  const done = await stampRestored(databaseUrl, { now, auditId: uuidv7() });
  return [
    `Not valid any more if issued before ${now.toISOString()}:`,
    `${done.sessions} sessions with their refresh tokens, ${done.flowTokens} flow tokens,`,
    `${done.flows} logins, codes and password resets under way.`,
    `${done.passwords} passwords need a code at their first login.`,
  ].join(' ');
}

export const command: Command = {
  usage: USAGE,
  async run(args) {
    argumentsOf({ args });
    const { openServices } = await import('../wiring/start.ts');
    const { close, ...parts } = await openServices();
    try {
      print(await stamp(parts));
    } finally {
      await close();
    }
    return EXIT.ok;
  },
};
