/** Tells the owner, at the old address too, that a phone number or address of the account is another one now. */
import { type MailContent, renderLetter } from '../letter.ts';

export const contactChangedMail = (data: {
  appName: string;
  name: string | null;
  at: Date;
  frontendUrl: string;
}): MailContent =>
  renderLetter({
    appName: data.appName,
    name: data.name,
    subject: `Your ${data.appName} contact details were changed`,
    lines: [
      `A phone number or e-mail address was added to your account or replaced on ${data.at.toUTCString()}.`,
    ],
    link: { label: `Open ${data.appName}`, href: data.frontendUrl },
    closing: 'If it was not you, change your password at once and end all sessions.',
  });
