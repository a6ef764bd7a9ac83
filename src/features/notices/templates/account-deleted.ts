/** Tells the owner that the account is deleted, and until when nothing of it is erased. */
import { ERASURE_DELAY_MS } from '../../../engine/retention.ts';
import { type MailContent, type Notice, renderLetter } from '../layout/letter.ts';

export const accountDeletedMail = (data: Omit<Notice, 'frontendUrl'>): MailContent => {
  const erased = new Date(data.at.getTime() + ERASURE_DELAY_MS);
  return renderLetter({
    appName: data.appName,
    name: data.name,
    subject: `Your ${data.appName} account was deleted`,
    lines: [
      `Your account was deleted on ${data.at.toUTCString()} and every session has ended.`,
      `What we know of you is erased after 30 days, on ${erased.toUTCString()}.`,
    ],
    closing: 'If it was not you, contact support before then: until it is erased, a mistake can be undone.',
  });
};
