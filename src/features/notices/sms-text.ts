/**
 * Texts by SMS, one segment each: a code names its purpose and ends with the line that binds it to our origin
 * (`@domain #code`); a notice says what changed. None may carry anything a person has typed.
 */
import type { Notice, Purpose } from '../../../machines/effects.ts';
import type { Wording } from './texts/catalogue.ts';
import { fitsOneSms } from './texts/sms-length.ts';

const HOST = /^(?=.{1,63}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/;
const CODE = /^\d{4,10}$/;

function oneSegment(text: string): string {
  if (!fitsOneSms(text)) throw new RangeError('An SMS must fit one segment');
  return text;
}

export const smsNotice = (wording: Wording, notice: Notice): string =>
  oneSegment(wording.say(`sms.${notice}`));

export type SmsText = (wording: Wording, content: { purpose: Purpose; code: string }) => string;

/**
 * Where the text and the binding line do not fit one segment together, which 70 characters of another alphabet may not
 * allow, the line is left out. @throws Error at wiring time when the domain is not a plain host name of at most 63 characters
 */
export function createSmsText({ domain }: { domain: string }): SmsText {
  if (!HOST.test(domain)) throw new Error('The SMS domain must be a host name of at most 63 characters');
  return (wording, { purpose, code }) => {
    if (!CODE.test(code)) throw new RangeError('A code by SMS has 4 to 10 digits');
    const text = wording.say(`sms.code.${purpose}`, { code });
    const bound = `${text}\n\n@${domain} #${code}`;
    return fitsOneSms(bound) ? bound : oneSegment(text);
  };
}
