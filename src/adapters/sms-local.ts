/** SMS that never leaves the process: it lands in the inbox. For the demo and development only. */
import type { Inbox } from './inbox.ts';
import { DeliveryError, type SmsPort } from './ports.ts';
import { reservedOutcome } from './reserved.ts';

/** The reserved number for a failed delivery is refused for good, as a provider refuses a dead line. */
export const createLocalSms = ({ inbox }: { inbox: Inbox }): SmsPort => ({
  async send({ id, to, text, code }) {
    if (reservedOutcome(to) === 'delivery_failed') {
      throw new DeliveryError('Reserved number: delivery fails', false);
    }
    await inbox.add({ id, channel: 'sms', to, text, ...(code === undefined ? {} : { code }) });
  },
});
