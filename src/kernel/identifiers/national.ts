/**
 * A number as people of one country write it → the E.164 numbers it may mean. The caller takes it only when there is
 * one. Knows nothing of who may be called.
 */
import { type CountryCode, getCountryCallingCode, parsePhoneNumberFromString } from 'libphonenumber-js/max';

/** Whether the text is one assigned number, spelled exactly so. */
export type Assigned = (e164: string) => boolean;

/** `digits`: without blanks and signs. With and without the trunk prefix, and with the country's code but no plus. */
export function nationalReadings(digits: string, country: CountryCode, assigned: Assigned): string[] {
  const code = getCountryCallingCode(country);
  const dialled = parsePhoneNumberFromString(digits, { defaultCountry: country, extract: false });
  const readings = [
    `+${code}${digits}`,
    dialled?.countryCallingCode === code ? dialled.number : '',
    digits.startsWith(code) ? `+${digits}` : '',
  ];
  return [...new Set(readings)].filter((reading) => reading !== '' && assigned(reading));
}

/** Plans that have put something before older numbers: how today's number comes from the old one, and what to say. */
const LONGER: Record<string, { today(national: string): string[]; advice: string }> = {
  BR: {
    today: (n) => [`${n.slice(0, 2)}9${n.slice(2)}`],
    advice:
      'lacks the 9 between the area code and a mobile number: write +55, the area code, 9 and the number',
  },
  BJ: {
    today: (n) => [`01${n}`],
    advice: 'lacks the 01 that numbers of Benin begin with: write +229, 01 and the number',
  },
  CI: {
    today: (n) => ['01', '05', '07', '21', '25', '27'].map((prefix) => prefix + n),
    advice:
      'lacks the two digits of its operator: write +225, then 01, 05 or 07 (21, 25 or 27 for a fixed line) and the number',
  },
};

/** What a number that is not assigned lacks by today's plan of its country; null when it is something else. */
export function adviceFor(e164: string, assigned: Assigned): string | null {
  for (const [country, { today, advice }] of Object.entries(LONGER)) {
    const code = `+${getCountryCallingCode(country as CountryCode)}`;
    if (!e164.startsWith(code)) continue;
    const written = e164.slice(code.length);
    const older = [written, written.replace(/^0/, '')].flatMap(today);
    if (older.some((longer) => assigned(code + longer))) return advice;
  }
  return null;
}
