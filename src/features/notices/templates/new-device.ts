/** Tells the owner about a login from a device the account did not know. What a browser calls itself is not repeated. */
import { type MailContent, type Notice, renderLetter } from '../layout/letter.ts';

export const newDeviceMail = (
  data: Notice & {
    /** Address range as recorded; null when unknown. */
    network: string | null;
    country: string | null;
  },
): MailContent =>
  renderLetter({
    appName: data.appName,
    name: data.name,
    subject: `New login to ${data.appName}`,
    lines: [
      `Your account was used from a device we had not seen before, on ${data.at.toUTCString()}.`,
      ...(data.network === null
        ? []
        : [`Network: ${data.network}${data.country === null ? '' : ` (${data.country})`}`]),
    ],
    link: { label: `Open ${data.appName}`, href: data.frontendUrl },
    closing:
      'If it was you, there is nothing to do. If not, change your password at once and end all sessions.',
  });
