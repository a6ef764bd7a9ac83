/** Tells the owner that a change of the contacts was taken back by the link of its notice. */
import { type MailContent, type Notice, renderLetter } from '../layout/letter.ts';

export const contactChangeUndoneMail = (data: Notice): MailContent =>
  renderLetter({
    appName: data.appName,
    name: data.name,
    subject: `A change of your ${data.appName} contact details was undone`,
    lines: [
      `A change of the phone numbers or e-mail addresses of your account was undone on ${data.at.toUTCString()}, with the link we had sent of it. Every session has ended.`,
      'If the change was not yours, somebody else knows your password: set a new one.',
    ],
    link: { label: `Open ${data.appName}`, href: data.frontendUrl },
    closing:
      'If you have not undone it, somebody reads mail at an old address of yours: change your password.',
  });
