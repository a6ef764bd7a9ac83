/** The link that sets a new password. Its address comes from the configuration alone. */
import { type MailContent, renderLetter } from '../layout/letter.ts';

export const resetMail = (data: {
  appName: string;
  name: string | null;
  link: string;
  minutes: number;
}): MailContent =>
  renderLetter({
    appName: data.appName,
    name: data.name,
    subject: `Set a new password for ${data.appName}`,
    lines: [
      `Somebody asked for a new password for your account. The link works once, within ${data.minutes} minutes.`,
    ],
    link: { label: 'Set a new password', href: data.link },
    closing: 'If it was not you, ignore this message: your password stays as it is.',
  });
