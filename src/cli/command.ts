/** What every command is made of. A command prints its result on standard output and everything else on standard error. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** Exit codes of all commands; `vestibule --help` lists them. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
} as const;

export type Command = {
  /** Printed by `--help` and, after the mistake, when the command is used wrongly. */
  usage: string;
  /** Answers an exit code; nothing means `EXIT.ok`. @throws UsageError, or Error with a line for the operator. */
  run(args: string[]): Promise<number | undefined>;
};

/** Wrong arguments: `message` says which. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** `parseArgs` of Node, whose complaints become a `UsageError`. */
export function argumentsOf<const T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('ERR_PARSE_ARGS')) throw error;
    throw new UsageError(message.split('. ')[0], { cause: error });
  }
}

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
