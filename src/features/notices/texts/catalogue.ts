/**
 * The texts of all messages, one file per language. English says which keys there are and which places each of them has
 * to fill; every other file, shipped or from TEXTS_DIR, is held to it before anything starts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ConfigError } from '../../../config/index.ts';
import { languageFor } from '../../../kernel/languages.ts';
import arabic from './ar.json' with { type: 'json' };
import english from './en.json' with { type: 'json' };
import { plain } from './plain.ts';
import { fitsOneSms } from './sms-length.ts';

export type TextKey = keyof typeof english;
type Catalogue = Record<TextKey, string>;

/** What is known of a reader: what the profile says, and the language of the request that caused the message. */
export type Reader = { locale: string | null; timezone: string | null; language: string | null };

/** The words of one language, for one reader. */
export type Wording = {
  /** BCP 47. */
  language: string;
  direction: 'ltr' | 'rtl';
  /** The product's name. */
  app: string;
  /** The text with `{app}` and the given values in their places; values stay as they are. */
  say(key: TextKey, values?: Record<string, string>): string;
  /** Day, time and zone as the reader writes them. */
  moment(at: Date): string;
  /** Whole minutes, or seconds below two minutes; never more than `ms`. */
  duration(ms: number): string;
};

export type Texts = { languages: readonly string[]; for(reader: Reader): Wording };

export const SHIPPED: Record<string, Record<string, string>> = { en: english, ar: arabic };
const KEYS = Object.keys(english) as TextKey[];
const MAX_TEXT = 500;
const MAX_APP_NAME = 64;

const placesOf = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([place]) => place);
const fill = (text: string, values: Record<string, string>): string =>
  text.replace(/\{(\w+)\}/g, (place, name: string) => values[name] ?? place);
const listed = (words: readonly string[]): string => [...new Set(words)].join(', ');

/** What is wrong with one text, in words that follow its key; null: nothing. */
function faultOf(key: TextKey, text: unknown): string | null {
  if (typeof text !== 'string' || text.trim() === '') return 'must be a text';
  if (text.length > MAX_TEXT) return `is longer than ${MAX_TEXT} characters`;
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(key.endsWith('.text') ? text.replaceAll('\n', '') : text))
    return 'has control characters';
  const [expected, actual] = [placesOf(english[key]), placesOf(text)];
  const missing = expected.filter((place) => !actual.includes(place));
  if (missing.length > 0) return `lacks ${listed(missing)}`;
  const unknown = actual.filter((place) => place !== '{app}' && !expected.includes(place));
  return unknown.length > 0 ? `has no ${listed(unknown)} to fill` : null;
}

/** Everything wrong with the texts of a language; `inherited` are those it need not repeat. */
export function faultsOf(texts: Record<string, unknown>, inherited: Partial<Catalogue> = {}): string[] {
  const given = Object.keys(texts);
  const unknown = given.filter((key) => !(key in english));
  const missing = KEYS.filter((key) => !(key in texts) && !(key in inherited));
  return [
    ...(unknown.length > 0 ? [`unknown key ${listed(unknown)}`] : []),
    ...(missing.length > 0 ? [`missing key ${listed(missing)}`] : []),
    ...KEYS.filter((key) => key in texts).flatMap((key) => {
      const fault = faultOf(key, texts[key]);
      return fault === null ? [] : [`${key} ${fault}`];
    }),
  ];
}

function readTexts(path: string): Record<string, unknown> {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('must be an object of texts');
  return value as Record<string, unknown>;
}

const isLanguage = (tag: string): boolean => {
  try {
    return Intl.getCanonicalLocales(tag)[0] === tag && Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
};

/** The shipped catalogues with those of `dir` laid over them. `report` gets what is wrong. */
function catalogues(dir: string | null, report: (fault: string) => void): Map<string, Catalogue> {
  const all = new Map(Object.entries(SHIPPED).map(([tag, texts]) => [tag, { ...texts } as Catalogue]));
  let files: string[] = [];
  try {
    files = dir === null ? [] : readdirSync(dir).filter((name) => name.endsWith('.json'));
  } catch (error) {
    report(`cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  // A language before its regions, which take over what they do not say themselves.
  for (const file of files.sort((a, b) => a.length - b.length)) {
    const tag = file.slice(0, -'.json'.length);
    if (!isLanguage(tag)) {
      report(`${file}: its name must be a language tag, as in de.json or pt-BR.json`);
      continue;
    }
    try {
      const texts = readTexts(join(dir ?? '', file));
      const parent = languageFor(tag, [...all.keys()]);
      const inherited = parent === null ? {} : (all.get(parent) as Catalogue);
      for (const fault of faultsOf(texts, inherited)) report(`${file}: ${fault}`);
      all.set(tag, { ...inherited, ...texts } as Catalogue);
    } catch (error) {
      report(`${file}: ${(error as Error).message}`);
    }
  }
  return all;
}

const SAMPLE_CODE = '000000';

/** @throws ConfigError naming TEXTS_DIR, APP_NAME or DEFAULT_LOCALE, one line per mistake. */
export function loadTexts(config: Pick<Config, 'appName' | 'textsDir' | 'defaultLocale'>): Texts {
  const { defaultLocale } = config;
  const app = plain(config.appName, MAX_APP_NAME);
  const faults: ConfigError[] = [];
  const all = catalogues(config.textsDir, (fault) => faults.push(new ConfigError('TEXTS_DIR', fault)));
  const languages = [...all.keys()];

  for (const [language, texts] of faults.length > 0 ? [] : all) {
    const tooLong = (text: string) => !fitsOneSms(fill(text, { app, code: SAMPLE_CODE }));
    const long = KEYS.filter((key) => key.startsWith('sms.') && tooLong(texts[key]));
    const own = long.filter((key) => texts[key] !== SHIPPED[language]?.[key]);
    if (own.length > 0)
      faults.push(new ConfigError('TEXTS_DIR', `${language}.json: ${listed(own)} must fit one SMS`));
    else if (long.some((key) => tooLong(english[key])))
      faults.push(new ConfigError('APP_NAME', 'is too long: an SMS with it does not fit one segment'));
    // A product name that leaves no room in 70 characters of another alphabet has it in 160 of English.
    else for (const key of long) texts[key] = english[key];
  }
  if (languageFor(defaultLocale, languages) === null) {
    const reason = `must be a language with texts: ${languages.join(', ')}`;
    faults.push(new ConfigError('DEFAULT_LOCALE', reason));
  }
  const [first, ...rest] = faults;
  if (first) throw ConfigError.all([first, ...rest]);

  return {
    languages,
    for({ locale, language, timezone }) {
      const wanted = [locale, language, defaultLocale].filter((tag) => tag !== null);
      const tag = wanted.find((each) => languageFor(each, languages) !== null) ?? defaultLocale;
      const texts = all.get(languageFor(tag, languages) ?? '') as Catalogue;
      return wordingOf(texts, { tag, timezone: timezone ?? 'UTC', app });
    },
  };
}

/** Scripts of ISO 15924. */
const RIGHT_TO_LEFT = new Set(['Adlm', 'Arab', 'Hebr', 'Nkoo', 'Rohg', 'Syrc', 'Thaa']);

function wordingOf(
  texts: Catalogue,
  { tag, timezone, app }: { tag: string; timezone: string; app: string },
): Wording {
  return {
    app,
    language: tag,
    direction: RIGHT_TO_LEFT.has(new Intl.Locale(tag).maximize().script ?? '') ? 'rtl' : 'ltr',
    say: (key, values) => fill(texts[key], { app, ...values }),
    moment: (at) =>
      new Intl.DateTimeFormat(tag, {
        ...{ year: 'numeric', month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit' },
        ...{ timeZone: timezone, timeZoneName: 'short' },
      }).format(at),
    duration(ms) {
      const [count, unit] =
        ms < 120_000 ? [Math.floor(ms / 1000), 'second'] : [Math.floor(ms / 60_000), 'minute'];
      return new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: 'long' }).format(count);
    },
  };
}
