/** The first mail to a proven address whose account is open. */
import { type MailContent, renderLetter } from '../layout/letter.ts';

export const welcomeMail = (data: {
  appName: string;
  name: string | null;
  frontendUrl: string;
}): MailContent =>
  renderLetter({
    appName: data.appName,
    name: data.name,
    subject: `Welcome to ${data.appName}`,
    lines: [
      'Your e-mail address is confirmed and your account is open.',
      'Some features become available once your identity has been verified.',
    ],
    link: { label: `Open ${data.appName}`, href: data.frontendUrl },
    closing: 'You receive this message because an account was opened with your address.',
  });
