/**
 * Tells the owner, at the old address too, that a phone number or address of the account is another one now. To who read
 * for the account before, it brings the link that undoes it.
 */
import { type MailContent, type Notice, renderLetter } from '../layout/letter.ts';

export const contactChangedMail = (
  data: Notice & {
    /** Null for who may only be told. */
    undo: { link: string; until: Date } | null;
  },
): MailContent => {
  const { appName, name, at, frontendUrl, undo } = data;
  return renderLetter({
    appName,
    name,
    subject: `Your ${appName} contact details were changed`,
    lines: [
      `A phone number or e-mail address of your account was added, removed or replaced on ${at.toUTCString()}.`,
      ...(undo === null
        ? []
        : [
            `If it was not you, undo it: the link works once, until ${undo.until.toUTCString()}, and ends every session.`,
          ]),
    ],
    link:
      undo === null
        ? { label: `Open ${appName}`, href: frontendUrl }
        : { label: 'Undo the change', href: undo.link },
    closing:
      undo === null
        ? 'If it was not you, change your password at once and end all sessions.'
        : 'Then set a new password. If it was you, there is nothing to do; never pass this message on.',
  });
};
