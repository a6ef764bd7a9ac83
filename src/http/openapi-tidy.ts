/**
 * What the generator leaves untidy: unused components, `XInput` beside an equal `X`, empty descriptions, problems
 * under the wrong media type. Changes names and words only, never a constraint.
 */
import { STATUS_CODES } from 'node:http';

type Json = Record<string, unknown>;
type Media = { content?: Record<string, { schema?: Json }>; description?: string };
type Operation = { responses?: Record<string, Media> };
export type OpenapiDocument = Json & {
  paths?: Record<string, Record<string, Operation>>;
  components?: Json & { schemas?: Record<string, unknown> };
};

const PREFIX = '#/components/schemas/';
const PROBLEM = { $ref: `${PREFIX}Problem` };

export function tidy(document: OpenapiDocument): OpenapiDocument {
  for (const operations of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(operations)) tidyResponses(operation);
  }
  return withoutUnused(withoutTwins(document));
}

function tidyResponses(operation: Operation): void {
  const responses = { ...operation.responses };
  for (const [status, response] of Object.entries(responses)) {
    if (response.description === 'Default Response')
      response.description = STATUS_CODES[status] ?? 'Otherwise';
    const json = response.content?.['application/json'];
    if (json?.schema?.$ref === PROBLEM.$ref) response.content = { 'application/problem+json': json };
  }
  responses.default ??= {
    description: 'Refused; `code` says why',
    content: { 'application/problem+json': { schema: PROBLEM } },
  };
  operation.responses = responses;
}

/** The provider writes every named schema twice, as `X` for answers and `XInput` for requests. */
function withoutTwins(document: OpenapiDocument): OpenapiDocument {
  const schemas = document.components?.schemas ?? {};
  const used = reachable(document, schemas);
  const twins = Object.keys(schemas).filter((name) => `${name}Input` in schemas);
  const alone = twins.filter((name) => !used.has(name));
  const names = new Map([...equalTwins(schemas, twins), ...alone].map((name) => [`${name}Input`, name]));
  const kept = Object.entries(schemas).filter(([name]) => !alone.includes(name));
  const merged = Object.fromEntries(kept.map(([name, schema]) => [names.get(name) ?? name, schema]));
  return renamed({ ...document, components: { ...document.components, schemas: merged } }, names);
}

/** Takes all for equal, then drops those that differ under that assumption, until nothing changes: they may nest. */
function equalTwins(schemas: Json, twins: string[]): string[] {
  const names = new Map(twins.map((name) => [`${name}Input`, name]));
  const differs = (name: string) =>
    JSON.stringify(renamed(schemas[`${name}Input`], names)) !== JSON.stringify(schemas[name]);
  const equal = twins.filter((name) => !differs(name));
  return equal.length === twins.length ? equal : equalTwins(schemas, equal);
}

function renamed<T>(value: T, names: Map<string, string>): T {
  return JSON.parse(JSON.stringify(value), (key, entry) => {
    if (key !== '$ref' || typeof entry !== 'string' || !entry.startsWith(PREFIX)) return entry;
    const name = entry.slice(PREFIX.length);
    return PREFIX + (names.get(name) ?? name);
  });
}

function withoutUnused(document: OpenapiDocument): OpenapiDocument {
  const schemas = document.components?.schemas ?? {};
  const used = reachable(document, schemas);
  const kept = Object.entries(schemas).filter(([name]) => used.has(name));
  kept.sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...document, components: { ...document.components, schemas: Object.fromEntries(kept) } };
}

function reachable(document: OpenapiDocument, schemas: Record<string, unknown>): Set<string> {
  const used = new Set<string>();
  const pending: unknown[] = [document.paths];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    for (const [, name] of JSON.stringify(node).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (name === undefined || used.has(name)) continue;
      used.add(name);
      pending.push(schemas[name] ?? {});
    }
  }
  return used;
}
