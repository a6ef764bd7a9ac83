/** Remembers the newest results of a pure function of text; holds nothing longer than `limit` others. */
export function rememberText(compute: (text: string) => string, limit = 5000): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    let result = known.get(text);
    if (result === undefined) {
      result = compute(text);
      if (known.size >= limit) known.clear();
      known.set(text, result);
    }
    return result;
  };
}
