/** Words and ids of the machines' own vocabulary: what may be said about a flow without saying anything of a person. */

/** A letter among letters, digits and joints: no phone, code, address or sentence looks like this. UUIDs do. */
export const WORD =
  /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=.*[a-z])[a-z0-9][a-z0-9_.:*-]{0,47})$/i;

/** Whether every text in a JSON value is such a word; how deep it goes is the body parser's business. */
export function onlyWords(value: unknown): boolean {
  if (typeof value === 'string') return value === '' || WORD.test(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => key.length < 48 && onlyWords(inner));
}
