/** Tells the owner that the password is another one now. */
import { type MailContent, type Notice, renderLetter } from '../layout/letter.ts';

export const passwordChangedMail = (data: Notice): MailContent =>
  renderLetter({
    appName: data.appName,
    name: data.name,
    subject: `Your ${data.appName} password was changed`,
    lines: [`The password of your account was changed on ${data.at.toUTCString()}.`],
    link: { label: `Open ${data.appName}`, href: data.frontendUrl },
    closing: 'If it was not you, reset your password at once and end all sessions.',
  });
