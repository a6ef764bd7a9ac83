/** What the relay does with messages: derives the code again, looks the place up, hands the text to SMS or mail. */
import type { Effects } from '../../../machines/effects.ts';
import { DeliveryError } from '../../adapters/ports.ts';
import type { TopicHandler } from '../../engine/delivery.ts';
import { phoneReader } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { createMailDelivery, languageOf } from './deliver-mail.ts';
import { createMails } from './mails.ts';
import { createSmsNotices } from './sms-notice.ts';
import { createSmsText } from './sms-text.ts';
import { loadTexts } from './texts/catalogue.ts';

/** Codes older than this are not sent: a late message would only confuse. */
const CODE_MAX_AGE_MS = 60_000;

export function noticeDeliveries(s: Services): Record<string, TopicHandler> {
  const { config, clock, proofs, adapters, recipients } = s;
  const texts = loadTexts(config);
  const domain = new URL(config.publicUrl).hostname;
  const smsText = createSmsText({ domain });
  const mail = createMailDelivery({
    ...s,
    mail: adapters.mail,
    texts,
    mails: createMails({ ...config.brand, frontendUrl: config.frontendUrl }),
    settings: { frontendUrl: config.frontendUrl, resetTtlS: config.password.resetTtlS },
  });
  const smsNotice = createSmsNotices({
    ...s,
    sms: adapters.sms,
    texts,
    capsOf: phoneReader(config),
  });
  return {
    'code.send': async (item) => {
      const { id, flowId, payload, createdAt } = item;
      const { contactId, purpose, counter } = payload as Effects['sendCode'];
      const contact = await recipients.brief(contactId);
      if (!contact || !flowId) throw new DeliveryError('the contact is gone', false);
      if (contact.type === 'email') return mail.code(item);
      if (clock.now() - createdAt.getTime() > CODE_MAX_AGE_MS)
        throw new DeliveryError('the code is too old', false);
      const code = proofs.code(flowId, purpose, counter);
      const wording = texts.for({ ...contact, language: languageOf(item) });
      const text = smsText(wording, { purpose, code });
      await adapters.sms.send({ id, to: contact.canonical, text, code });
    },
    'mail.send': mail.send,
    'sms.send': smsNotice,
  };
}
