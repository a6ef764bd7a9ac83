/** Tells the owner that a second factor came, went or was guessed at. */
import type { Notice } from '../../../../machines/effects.ts';
import { type Notice as Letter, type MailContent, renderLetter } from '../layout/letter.ts';

export type FactorNotice = Extract<
  Notice,
  'factor_added' | 'factor_removed' | 'factor_waiting' | 'backup_codes_renewed'
>;

const SAYS: Record<FactorNotice, { subject: (app: string) => string; line: (at: string) => string }> = {
  factor_added: {
    subject: (app) => `A second factor was added to your ${app} account`,
    line: (at) => `A second factor was added to your account on ${at}. From now on every login asks for it.`,
  },
  factor_removed: {
    subject: (app) => `A second factor was removed from your ${app} account`,
    line: (at) => `A second factor of your account was removed on ${at}.`,
  },
  factor_waiting: {
    subject: (app) => `Too many wrong codes for your ${app} account`,
    line: (at) =>
      `Too many wrong codes or PINs were entered for your account, the last on ${at}. It accepts none of that kind for a while.`,
  },
  backup_codes_renewed: {
    subject: (app) => `New backup codes for your ${app} account`,
    line: (at) => `New backup codes were made for your account on ${at}. Earlier ones no longer work.`,
  },
};

export const factorChangedMail = (what: FactorNotice, data: Letter): MailContent =>
  renderLetter({
    appName: data.appName,
    name: data.name,
    subject: SAYS[what].subject(data.appName),
    lines: [SAYS[what].line(data.at.toUTCString())],
    link: { label: `Open ${data.appName}`, href: data.frontendUrl },
    closing: 'If it was not you, change your password at once and end all sessions.',
  });
