/** The code that proves an address. It goes to people nobody knows yet, so it repeats nothing that anybody typed. */
import { type MailContent, renderLetter } from '../layout/letter.ts';

export const verificationMail = (data: { appName: string; code: string; life: string }): MailContent =>
  renderLetter({
    appName: data.appName,
    subject: `${data.code} is your ${data.appName} code`,
    lines: [`Enter this code to confirm your e-mail address. It is valid for ${data.life}.`],
    code: data.code,
    closing:
      'If you did not ask for it, ignore this message and tell the code to nobody: whoever enters it confirms their account with your address.',
  });
