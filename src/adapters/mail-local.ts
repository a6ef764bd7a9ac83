/** Mail that never leaves the process: it lands in the inbox. For the demo and development only. */
import type { Inbox } from './inbox.ts';
import type { MailPort } from './ports.ts';

export const createLocalMail = ({ inbox }: { inbox: Inbox }): MailPort => ({
  async send({ id, to, subject, text, html, code }) {
    await inbox.add({
      id,
      channel: 'mail',
      to,
      subject,
      text,
      html,
      ...(code === undefined ? {} : { code }),
    });
  },
});
