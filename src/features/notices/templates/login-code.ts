/** A code to log in with, for a proven address. */
import { type MailContent, renderLetter } from '../layout/letter.ts';

export const loginCodeMail = (data: { appName: string; code: string; life: string }): MailContent =>
  renderLetter({
    appName: data.appName,
    subject: `${data.code} is your ${data.appName} code`,
    lines: [`Enter this code to log in. It is valid for ${data.life}.`],
    code: data.code,
    closing: 'Never share it. If you did not ask for it, ignore this message.',
  });
