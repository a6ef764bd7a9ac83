/** Which of the languages at hand a person reads, by RFC 4647 look-up. It only compares tags; it stores nothing. */

/** The language for `tag` (BCP 47): the tag itself, else what is left without its last subtags; null: none of them. */
export function languageFor(tag: string, available: readonly string[]): string | null {
  const parts = tag.toLowerCase().split('-');
  for (let length = parts.length; length > 0; length--) {
    const range = parts.slice(0, length).join('-');
    const found = available.find((language) => language.toLowerCase() === range);
    if (found !== undefined) return found;
  }
  return null;
}

/** No honest list is longer; each entry costs a look-up. */
const MAX_ENTRIES = 20;

/** The best language of an Accept-Language header (RFC 9110 12.5.4); null when it names none of `available`. */
export function acceptedLanguage(header: string | undefined, available: readonly string[]): string | null {
  const wanted = (header ?? '')
    .split(',', MAX_ENTRIES)
    .map((entry) =>
      /^\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,4})\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/.exec(entry),
    )
    .flatMap((match) => (match?.[1] ? [{ tag: match[1], weight: Number(match[2] ?? 1) }] : []))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight);
  for (const { tag } of wanted) {
    const language = languageFor(tag, available);
    if (language !== null) return language;
  }
  return null;
}
