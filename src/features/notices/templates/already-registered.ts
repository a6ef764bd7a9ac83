/** What the owner of an address gets instead of a code when somebody registers with it again. */
import { type MailContent, renderLetter } from '../layout/letter.ts';

export const alreadyRegisteredMail = (data: { appName: string; frontendUrl: string }): MailContent =>
  renderLetter({
    appName: data.appName,
    subject: `You already have a ${data.appName} account`,
    lines: [
      'Somebody tried to open an account with this e-mail address. It already belongs to one, so nothing was changed.',
      'If it was you, log in as usual; if you no longer know your password, ask for a new one.',
    ],
    link: { label: `Open ${data.appName}`, href: data.frontendUrl },
    closing: 'If it was not you, there is nothing to do.',
  });
