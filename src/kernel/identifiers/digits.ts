/** Decimal digits of any script → ASCII. Unicode lists them in whole rows of ten, some of which lie side by side. */

const DIGIT = /\p{Nd}/u;

/** Every other character becomes its NFKC form. */
export const asciiDigits = (text: string): string =>
  text.normalize('NFKC').replace(/\p{Nd}/gu, (digit) => String(digitValue(digit.codePointAt(0) ?? 0)));

function digitValue(codePoint: number): number {
  let first = codePoint;
  while (DIGIT.test(String.fromCodePoint(first - 1))) first--;
  return (codePoint - first) % 10;
}
