/** Sends a notice by SMS to an owner who has no address, within what may be spent on SMS and on one recipient. */
import type { OutboxItem } from '../../../db/outbox.ts';
import type { Recipients } from '../../../db/recipients.ts';
import type { Notice } from '../../../machines/effects.ts';
import { DeliveryError, type SmsPort } from '../../adapters/ports.ts';
import type { Limits } from '../../http/limits/policy.ts';
import type { Phone } from '../../kernel/identifiers/phone.ts';
import { languageOf } from './deliver-mail.ts';
import { smsNotice } from './sms-text.ts';
import type { Texts } from './texts/catalogue.ts';

export function createSmsNotices(deps: {
  recipients: Recipients;
  limits: Limits;
  sms: SmsPort;
  texts: Texts;
  /** What limits messages to a number. @throws when it is none any more */
  capsOf: (e164: string) => Phone;
}) {
  const capsOf = (e164: string): Phone => {
    try {
      return deps.capsOf(e164);
    } catch (cause) {
      throw new DeliveryError('the number is not one any more', false, { cause });
    }
  };
  return async (item: OutboxItem): Promise<void> => {
    const { template, contactId } = item.payload as { template: Notice; contactId: string };
    const contact = await deps.recipients.brief(contactId);
    if (contact?.type !== 'phone') throw new DeliveryError('the contact is gone', false);
    const { range, country } = capsOf(contact.canonical);
    const call = { recipient: contact.canonical, range, country, noticeId: item.id };
    const { suppressed } = await deps.limits.smsNotice(call);
    // Sent later, not dropped: an attacker who uses the budget up must not keep the change from the owner.
    if (suppressed) throw new DeliveryError('a budget of SMS is used up', true);
    const wording = deps.texts.for({ ...contact, language: languageOf(item) });
    await deps.sms.send({ id: item.id, to: contact.canonical, text: smsNotice(wording, template) });
  };
}
