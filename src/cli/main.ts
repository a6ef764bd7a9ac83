#!/usr/bin/env -S node --max-semi-space-size=16
/** The one entry of the program: finds the command by its name and turns its outcome into an exit code. Decides nothing else. */
import { readFileSync } from 'node:fs';
import { type Command, EXIT, print, UsageError } from './command.ts';

type Entry = { summary: string; load: () => Promise<{ command: Command }> };

/** A new command is one line here and a file that exports `command`. */
const COMMANDS: Record<string, Entry> = {
  start: { summary: 'Run the service', load: () => import('./start.ts') },
  migrate: { summary: 'Bring the database to the newest schema', load: () => import('./migrate.ts') },
  keys: { summary: 'List, rotate or withdraw token signing keys', load: () => import('./keys.ts') },
  kms: {
    summary: 'Count and rewrap what the master keys have sealed',
    load: () => import('./kms.ts'),
  },
  import: { summary: 'Import users of another system', load: () => import('./import.ts') },
  restored: { summary: 'End what a restored backup would bring back', load: () => import('./restored.ts') },
  demo: { summary: 'Play a narrated tour against a service of its own', load: () => import('./demo.ts') },
};

const HELP = `usage: vestibule <command> [options]

commands:
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`)
  .join('\n')}

  vestibule <command> --help   describe one command
  vestibule --version          print the version

Settings are environment variables; .env.example lists them. With the embedded database only one
command runs at a time: stop the service first.

exit codes:
  ${EXIT.ok}  done
  ${EXIT.failed}  failed; the reason is on standard error
  ${EXIT.usage}  wrong usage; nothing was done`;

const version = (): string =>
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;

const asksForHelp = (args: string[]): boolean => {
  const options = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  return options.includes('--help') || options.includes('-h');
};

/** The exit code. */
async function run([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    print(HELP);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === '--version') {
    print(version());
    return EXIT.ok;
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!entry) throw new UsageError(`there is no command ${JSON.stringify(name)}\n${HELP}`);
  const { command } = await entry.load();
  if (asksForHelp(args)) {
    print(`${command.usage}\n\n${entry.summary}.`);
    return EXIT.ok;
  }
  try {
    return (await command.run(args)) ?? EXIT.ok;
  } catch (error) {
    if (error instanceof UsageError) error.message += `\n${command.usage}`;
    throw error;
  }
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  // What failed may have left connections open that would keep the process alive.
  process.exit(error instanceof UsageError ? EXIT.usage : EXIT.failed);
}
