/** Every mail with made-up data, for a preview page and for tests. Reads nothing; the values belong to no person. */
import type { MailContent } from './layout/letter.ts';
import type { MailName, Mails } from './mails.ts';
import type { Wording } from './texts/catalogue.ts';

export type MailSample = { template: MailName; description: string; content: MailContent };

const at = new Date('2030-05-17T09:30:00Z');
const name = 'Ada Byron';
const lifeMs = 300_000;

export function mailSamples(mails: Mails, wording: Wording, frontendUrl: string): MailSample[] {
  const linkTo = (path: string) => `${frontendUrl}/${path}?code=AAAAAAAAAAAAAAAAAAAAAA.sample`;
  const undo = { href: linkTo('undo-contact-change'), until: new Date('2030-05-20T09:30:00Z') };
  const samples: Record<MailName, [description: string, content: MailContent]> = {
    verification: [
      'The code of a registration or of an added address',
      mails.verification(wording, { code: '271828', lifeMs }),
    ],
    login_code: ['A code to log in with', mails.login_code(wording, { code: '314159', lifeMs })],
    reset: [
      'The link to a new password',
      mails.reset(wording, { name, href: linkTo('reset-password'), lifeMs: 1_800_000 }),
    ],
    welcome: ['The account is open', mails.welcome(wording, { name })],
    password_changed: ['The password was changed', mails.password_changed(wording, { name, at })],
    contact_changed: [
      'A phone number or address was changed, to those who joined',
      mails.contact_changed(wording, { name, at }),
    ],
    contact_changed_undo: [
      'A phone number or address was changed, to those from before',
      mails.contact_changed_undo(wording, { name, at, ...undo }),
    ],
    contact_change_undone: [
      'A change of contacts was undone',
      mails.contact_change_undone(wording, { name, at }),
    ],
    account_deleted: [
      'The account is deleted, its data in 30 days',
      mails.account_deleted(wording, { name, at }),
    ],
    new_device: [
      'A login from an unknown device',
      mails.new_device(wording, { name, at, network: '192.0.2.7', country: 'DE' }),
    ],
    factor_added: ['A second factor was added', mails.factor_added(wording, { name, at })],
    factor_removed: ['A second factor was removed', mails.factor_removed(wording, { name, at })],
    factor_waiting: ['Too many wrong codes', mails.factor_waiting(wording, { name, at })],
    backup_codes_renewed: ['Backup codes were renewed', mails.backup_codes_renewed(wording, { name, at })],
    already_registered: [
      'An address that has an account was registered again',
      mails.already_registered(wording),
    ],
  };
  return Object.entries(samples).map(([template, [description, content]]) => ({
    template: template as MailName,
    description,
    content,
  }));
}
