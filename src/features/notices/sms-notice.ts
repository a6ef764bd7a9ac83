/** Sends a notice by SMS to an owner who has no address, within what may be spent on SMS and on one recipient. */
import type { Database } from '../../../db/client.ts';
import { contactById } from '../../../db/contacts.ts';
import type { OutboxItem } from '../../../db/outbox.ts';
import type { Notice } from '../../../machines/effects.ts';
import { DeliveryError, type SmsPort } from '../../adapters/ports.ts';
import type { Limits } from '../../http/limits/policy.ts';
import type { Phone } from '../../kernel/identifiers/phone.ts';
import type { SmsNotice } from './sms-text.ts';

export function createSmsNotices(deps: {
  db: Database;
  limits: Limits;
  sms: SmsPort;
  text: SmsNotice;
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
    const contact = await contactById(deps.db, contactId);
    if (contact?.type !== 'phone') throw new DeliveryError('the contact is gone', false);
    const { range, country } = capsOf(contact.canonical);
    const call = { recipient: contact.canonical, range, country, noticeId: item.id };
    const { suppressed } = await deps.limits.smsNotice(call);
    // It comes later, not never: whoever uses the budget up must not keep from the owner what has changed.
    if (suppressed) throw new DeliveryError('a budget of SMS is used up', true);
    await deps.sms.send({ id: item.id, to: contact.canonical, text: deps.text(template) });
  };
}
