/**
 * A form (application/x-www-form-urlencoded) as strictly as JSON is read here, for the few contracts that ask for one:
 * UTF-8, whole escapes, no name twice (RFC 6749 section 3.2). Names a contract does not know are dropped, as OAuth says.
 */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { malformed } from './json-scan.ts';

const MAX_PARAMETERS = 16;

/** The parameters of `names` that have a value. Throws malformed_body. */
function parseStrictForm(bytes: Buffer, names: readonly string[]): Record<string, string> {
  if (!isUtf8(bytes)) throw malformed('The form is not valid UTF-8.');
  const pairs = bytes.toString('utf8').split('&').filter(Boolean);
  if (pairs.length > MAX_PARAMETERS) throw malformed(`The form has more than ${MAX_PARAMETERS} parameters.`);
  const given = new Map<string, string>();
  for (const pair of pairs) {
    const [name, ...rest] = pair.split('=');
    const key = decoded(name ?? '');
    if (given.has(key)) throw malformed('The form repeats a parameter.');
    given.set(key, decoded(rest.join('=')));
  }
  // A parameter without a value is as good as none (RFC 6749 section 3.2).
  return Object.fromEntries(names.flatMap((name) => (given.get(name) ? [[name, given.get(name)!]] : [])));
}

/** Inside `scope`, routes with `config: { formBody: 'or-json' }` take a form of these parameters beside JSON. */
export function registerForm(scope: FastifyInstance, names: readonly string[]): void {
  scope.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, bytes: Buffer) => parseStrictForm(bytes, names),
  );
}

function decoded(text: string): string {
  let value: string;
  try {
    value = decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw malformed('The form has a broken escape.');
  }
  if (value.includes('\0')) throw malformed('The form holds a character that cannot be stored.');
  return value;
}
