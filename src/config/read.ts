/** Reads environment variables against their declarations. Errors name a variable; they never repeat a value. */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';

export type Environment = Record<string, string | undefined>;

/** A wrong or missing setting. `message` is one line, `VARIABLE: reason`, and never contains the value. */
export class ConfigError extends Error {
  readonly variable: string;
  constructor(variable: string, reason: string, options?: ErrorOptions) {
    super(`${variable}: ${reason.replace(/\s+/g, ' ')}`, options);
    this.name = 'ConfigError';
    this.variable = variable;
  }

  /** All of them in one, a line each; `variable` is that of the first. */
  static all(errors: [ConfigError, ...ConfigError[]]): ConfigError {
    const [first] = errors;
    if (errors.length === 1) return first;
    return Object.assign(new ConfigError(first.variable, ''), {
      message: errors.map(({ message }) => message).join('\n'),
    });
  }
}

/** Collects mistakes, one per variable, so that a start reports all of them. Every value read beside one is a stand-in. */
export class Mistakes {
  readonly #found = new Map<string, ConfigError>();

  add(variable: string, reason: string, options?: ErrorOptions): null {
    if (!this.#found.has(variable)) this.#found.set(variable, new ConfigError(variable, reason, options));
    return null;
  }

  /** The result of `work`, or null when it throws a `ConfigError`, which is collected. */
  unless<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      if (!this.#found.has(error.variable)) this.#found.set(error.variable, error);
      return null;
    }
  }

  /** @throws {ConfigError} when there are any. */
  throwAll(): void {
    const [first, ...rest] = this.#found.values();
    if (first) throw ConfigError.all([first, ...rest]);
  }
}

export type Options = {
  /** Older or foreign names, read in this order when the variable itself is not set. */
  aliases?: readonly string[];
  /** Never printed; may also be given as a file through `NAME_FILE`. */
  secret?: boolean;
  /** What happens without a value, when that is not a literal. */
  otherwise?: string;
};

export type Variable<T = unknown> = {
  parse: z.ZodType<T, string>;
  default: string | null;
  description: string;
  aliases: readonly string[];
  secret: boolean;
  otherwise: string | null;
};

const declared = <T>(
  parse: z.ZodType<T, string>,
  fallback: string | null,
  description: string,
  options: Options,
): Variable<T> => ({
  parse,
  default: fallback,
  description,
  aliases: options.aliases ?? [],
  secret: options.secret ?? false,
  otherwise: options.otherwise ?? null,
});

/** A variable with a literal default: always has a value. */
export const setting = <T>(
  parse: z.ZodType<T, string>,
  fallback: string,
  description: string,
  options: Options = {},
): Variable<T> & { default: string } => ({
  ...declared(parse, fallback, description, options),
  default: fallback,
});

/** A variable that may stay unset and then reads as null. */
export const optional = <T>(
  parse: z.ZodType<T, string>,
  description: string,
  options: Options = {},
): Variable<T> & { default: null } => ({
  ...declared(parse, null, description, options),
  default: null,
});

type Value<V> = V extends Variable<infer T> ? (V['default'] extends string ? T : T | null) : never;
export type Values<D extends Record<string, Variable>> = { [K in keyof D]: Value<D[K]> };

export type Reading<D extends Record<string, Variable>> = {
  values: Values<D>;
  /** The name a value came from (the variable, an alias or `NAME_FILE`); null when it is the default. */
  source(name: keyof D & string): string | null;
  mistakes: Mistakes;
};

/** An empty string counts as unset, because that is what `${VAR:-}` in a compose file produces. */
const present = (env: Environment, name: string): string | undefined => env[name]?.trim() || undefined;

/** @throws {ConfigError} naming `variable` when the file cannot be read. */
export function readSecretFile(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new ConfigError(variable, 'names a file that cannot be read', { cause });
  }
}

function find(env: Environment, name: string, variable: Variable): { from: string; raw: string } | null {
  for (const candidate of [name, ...variable.aliases]) {
    const raw = present(env, candidate);
    if (raw !== undefined) return { from: candidate, raw };
    const path = variable.secret ? present(env, `${candidate}_FILE`) : undefined;
    if (path !== undefined) {
      return { from: `${candidate}_FILE`, raw: readSecretFile(`${candidate}_FILE`, path) };
    }
  }
  return null;
}

/** A value that its declaration refuses is among the mistakes; the default or null then stands in for it. */
export function read<D extends Record<string, Variable>>(env: Environment, declarations: D): Reading<D> {
  const values: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  const mistakes = new Mistakes();
  for (const [name, variable] of Object.entries(declarations)) {
    const found = mistakes.unless(() => find(env, name, variable));
    if (found) sources.set(name, found.from);
    values[name] = variable.default === null ? null : variable.parse.parse(variable.default);
    if (!found) continue;
    const parsed = variable.parse.safeParse(found.raw);
    if (parsed.success) values[name] = parsed.data;
    else mistakes.add(found.from, parsed.error.issues[0]?.message ?? 'is not valid');
  }
  return { values: values as Values<D>, source: (name) => sources.get(name) ?? null, mistakes };
}
