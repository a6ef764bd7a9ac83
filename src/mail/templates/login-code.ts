/** A code to log in with, for a proven address. */
import { type MailContent, renderLetter } from '../letter.ts';

export const loginCodeMail = (data: { appName: string; code: string; minutes: number }): MailContent =>
  renderLetter({
    appName: data.appName,
    subject: `${data.code} is your ${data.appName} code`,
    lines: [`Enter this code to log in. It is valid for ${data.minutes} minutes.`],
    code: data.code,
    closing: 'Never share it. If you did not ask for it, ignore this message.',
  });
