/** Keeps texts that come again and again from being made anew; bounded, so that it never grows for ever. */

/** Shapes are few; a bound keeps a mistake from filling memory. */
export function keep<T>(cache: Map<string, T>, key: string, value: T): void {
  if (cache.size >= 500) cache.clear();
  cache.set(key, value);
}
