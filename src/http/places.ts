/** Time zones, locales and postal codes as the platform knows them: a word that only looks like one is refused, not stored. */
import { formatAddress } from 'localized-address-format';
import { z } from 'zod';

/** A name of the IANA database; offsets are none, although Intl takes them. */
const isTimeZone = (name: string): boolean => {
  try {
    return /^[A-Za-z]/.test(name) && Boolean(new Intl.DateTimeFormat('en', { timeZone: name }));
  } catch {
    return false;
  }
};

const names = (type: 'language' | 'region') => new Intl.DisplayNames('en', { type, fallback: 'none' });
const [languages, regions] = [names('language'), names('region')];

/** BCP 47, of a language and a region that exist: well-formed alone would let any word of five letters through. */
const isLocale = (tag: string): boolean => {
  try {
    const { language, region } = new Intl.Locale(tag);
    return languages.of(language) !== undefined && (region === undefined || regions.of(region) !== undefined);
  } catch {
    return false;
  }
};

export const timezoneInput = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9_+/-]+$/)
  .refine(isTimeZone, 'must be a time zone of the IANA database')
  .meta({ description: 'IANA time zone', examples: ['Europe/Berlin'] });

export const localeInput = z
  .string()
  .max(35)
  .regex(/^[A-Za-z0-9-]+$/)
  .refine(isLocale, 'must be a language tag (BCP 47)')
  .meta({ description: 'BCP 47 language tag', examples: ['en-GB'] });

/** Whether addresses of the country carry a postal code, by the data of Google's address service; false where unknown. */
export const hasPostalCodes = (country: string): boolean =>
  formatAddress({ postalCountry: country, postalCode: '\0' }).join('').includes('\0');
