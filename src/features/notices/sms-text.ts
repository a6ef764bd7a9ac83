/**
 * Texts by SMS, one GSM-7 segment each (3GPP TS 23.038): a code names its purpose and ends with the line that binds it
 * to our origin (`@domain #code`); a notice says what changed. None may carry anything a person has typed.
 */
import type { Notice } from '../../../machines/effects.ts';

export type SmsPurpose = 'signup' | 'login' | 'email' | 'reset' | 'change' | 'step_up';

const SENTENCES: Record<SmsPurpose, (code: string) => string> = {
  signup: (code) => `${code} is your code to sign up.`,
  login: (code) => `${code} is your code to log in.`,
  email: (code) => `${code} is your code to verify your e-mail.`,
  reset: (code) => `${code} is your code to reset your password.`,
  change: (code) => `${code} is your code to confirm this phone number.`,
  step_up: (code) => `${code} is your code to confirm it is you.`,
};

const MAX_SEPTETS = 160;
/** The part of the basic character set these texts may use, one septet each; the rest is refused, not transliterated. */
const GSM7 = /^[A-Za-z0-9 \n@#.,:;!?'"()\-_/+*=<>%&$]*$/;
const HOST = /^(?=.{1,63}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/;
const CODE = /^\d{4,10}$/;

export type SmsText = (content: { purpose: SmsPurpose; code: string }) => string;

const NOTICES: Record<Notice, (domain: string) => string> = {
  password_changed: (domain) =>
    `The password of your account at ${domain} was changed. Not you? Reset it at once.`,
  contact_changed: (domain) =>
    `A contact of your account at ${domain} was changed. Not you? Change your password at once.`,
  contact_change_undone: (domain) =>
    `A change of the contacts of your account at ${domain} was undone. Not you? Change your password at once.`,
  factor_added: (domain) =>
    `A second factor was added to your account at ${domain}. Not you? Change your password at once.`,
  factor_removed: (domain) =>
    `A second factor of your account at ${domain} was removed. Not you? Change your password at once.`,
  factor_waiting: (domain) =>
    `Too many wrong codes were entered for your account at ${domain}. Not you? Change your password at once.`,
  backup_codes_renewed: (domain) =>
    `New backup codes were made for your account at ${domain}. Not you? Change your password at once.`,
  account_deleted: (domain) =>
    `Your account at ${domain} was deleted and will be erased after 30 days. Not you? Contact support.`,
};

export type SmsNotice = (notice: Notice) => string;

/** Texts that tell of a change; they name the service, nothing of the person. @throws as `createSmsText` */
export function createSmsNotice({ domain }: { domain: string }): SmsNotice {
  requireHost(domain);
  return (notice) => oneSegment(NOTICES[notice](domain));
}

function requireHost(domain: string): void {
  if (!HOST.test(domain)) throw new Error('The SMS domain must be a host name of at most 63 characters');
}

function oneSegment(text: string): string {
  if (text.length > MAX_SEPTETS || !GSM7.test(text)) throw new RangeError('An SMS must fit one segment');
  return text;
}

/** @throws Error at wiring time when the domain is not a plain host name of at most 63 characters. */
export function createSmsText({ domain }: { domain: string }): SmsText {
  requireHost(domain);
  return ({ purpose, code }) => {
    if (!CODE.test(code)) throw new RangeError('A code by SMS has 4 to 10 digits');
    return oneSegment(`${SENTENCES[purpose](code)} Never share it.\n\n@${domain} #${code}`);
  };
}
