/** Makes text from outside fit for one line of a message. */

/** One line without control, direction and other invisible characters, and short enough not to carry a message. */
export const plain = (text: string, most: number): string =>
  text
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, most)
    .toWellFormed();
