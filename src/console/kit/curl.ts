/** The request behind an allowed action, as a line to paste into a shell. Placeholders stand for what only the person knows. */
import type { Action } from '../../http/actions.ts';

/** Steps of a sign-up, a login or a recovery take the flow's token; everything else is done by an account. */
const tokenOf = ({ href }: Action): string => (href.includes('/auth/') ? '$FLOW_TOKEN' : '$ACCESS_TOKEN');

const doubleQuoted = (text: string): string => `"${text.replace(/[\\"`]/g, '\\$&')}"`;

/** For a shell: nothing in it expands. */
export const singleQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** With the example that the body's schema declares. Only `$NAME` placeholders expand: everything else is quoted. */
export function asCurl(action: Action, example: object | undefined, baseUrl: string): string {
  return [
    `curl -sS${action.method === 'GET' ? '' : ` -X ${action.method}`} ${doubleQuoted(baseUrl + action.href)}`,
    `-H ${doubleQuoted(`Authorization: Bearer ${tokenOf(action)}`)}`,
    ...(action.schema === null
      ? []
      : [`-H 'Content-Type: application/json' -d ${singleQuoted(JSON.stringify(example ?? {}))}`]),
  ].join(' ');
}
