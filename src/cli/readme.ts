/**
 * Fills the README's tables of routes and reserved identifiers from `docs/openapi.json` and the code; with `--check`
 * only compares. Text between the markers is never written by hand.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import {
  RESERVED_BLOCKED_PREFIXES,
  RESERVED_DOCUMENTS,
  RESERVED_PHONES,
  RESERVED_TOTP_SECRET,
  type ReservedKycOutcome,
  type ReservedOutcome,
} from '../adapters/reserved.ts';

type Operation = { tags?: string[]; summary?: string; security?: Record<string, unknown>[] };
type Document = { paths: Record<string, Record<string, Operation>> };

const CREDENTIALS: Record<string, string> = {
  bearerAuth: 'access token',
  flowToken: 'flow token',
  refreshCookie: 'refresh cookie',
  balanceHubCookie: 'session cookie',
  serviceToken: 'service token',
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

function credentials({ security = [] }: Operation): string {
  const named = security.flatMap((one) => Object.keys(one)).map((name) => CREDENTIALS[name] ?? name);
  const optional = security.some((one) => Object.keys(one).length === 0);
  if (named.length === 0) return '–';
  return `${named.join(' or ')}${optional ? ', or none' : ''}`;
}

/** One table per tag, in the order of the document. */
export function endpointTable({ paths }: Document): string {
  const groups = new Map<string, string[]>();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags?.[0] ?? 'Other';
      const row = `| ${method.toUpperCase()} | \`${path}\` | ${credentials(operation)} | ${cell(operation.summary ?? '')} |`;
      groups.set(tag, [...(groups.get(tag) ?? []), row]);
    }
  }
  return [...groups]
    .map(([tag, rows]) =>
      [`**${tag}**`, '', '| method | path | credential | what |', '| --- | --- | --- | --- |', ...rows].join(
        '\n',
      ),
    )
    .join('\n\n');
}

const PHONE_OUTCOMES: Record<ReservedOutcome, string> = {
  code_expired: 'its code has expired before it can be checked',
  code_locked: 'the first wrong code locks it for a minute',
  delivery_failed: 'the SMS cannot be delivered: a dead letter in the outbox',
  risk_review: 'a reviewer must decide at the risk gate (S4)',
  risk_blocked: 'the risk gate (S4) refuses it',
};

const KYC_OUTCOMES: Record<ReservedKycOutcome, string> = {
  rejected_retry: 'rejected, another try is possible',
  rejected_final: 'rejected for good',
  review: 'a reviewer must decide',
  provider_down: 'the provider does not answer: tried again later',
};

export function reservedTable(): string {
  const phones = Object.entries(RESERVED_PHONES).map(
    ([phone, o]) => `| \`${phone}\` | ${PHONE_OUTCOMES[o]} |`,
  );
  const blocked = RESERVED_BLOCKED_PREFIXES.map(
    (p) => `| \`${p}\`… | a blocked range: the risk gate refuses it |`,
  );
  const types = Object.entries(RESERVED_DOCUMENTS);
  const outcomes = Object.entries(KYC_OUTCOMES).map(([outcome, text]) => {
    const numbers = types.map(([, table]) => Object.keys(table).find((number) => table[number] === outcome));
    return `| ${numbers.map((number) => `\`${number}\``).join(' | ')} | ${text} |`;
  });
  return [
    '| phone | what happens |',
    '| --- | --- |',
    ...phones,
    ...blocked,
    '| any other `+1 555 555 xxxx` or `+1 nnn 555 01xx` | it works, and can be signed up again and again |',
    '',
    `An authenticator app that a reserved number sets up always holds the secret \`${RESERVED_TOTP_SECRET}\`.`,
    '',
    `| ${types.map(([type]) => type).join(' | ')} | what happens |`,
    `|${' --- |'.repeat(types.length + 1)}`,
    ...outcomes,
    `|${' any other |'.repeat(types.length)} verified within a second |`,
  ].join('\n');
}

/** `text` with fresh content between `<!-- name:begin -->` and `<!-- name:end -->`. @throws Error without them. */
function fill(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md lacks its ${name} markers`);
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}

export const refreshed = (readme: string, document: Document): string =>
  fill(fill(readme, 'endpoints', endpointTable(document)), 'reserved', reservedTable());

/** Brings the file up to date with the document; true when it was not. */
export function updateReadme({ write }: { write: boolean }): boolean {
  const root = new URL('../../', import.meta.url);
  const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
  const readme = read('README.md');
  const wanted = refreshed(readme, JSON.parse(read('docs/openapi.json')) as Document);
  if (wanted === readme) return false;
  if (write) writeFileSync(new URL('README.md', root), wanted);
  return true;
}

if (import.meta.main) {
  const check = process.argv.includes('--check');
  if (updateReadme({ write: !check })) {
    console[check ? 'error' : 'log'](
      check ? 'README.md does not match the routes; run `npm run readme`' : 'wrote README.md',
    );
    process.exitCode = check ? 1 : 0;
  }
}
