/** Every template with made-up data, for a preview page and for tests. Reads nothing; the values belong to nobody. */

import type { MailContent } from './layout/letter.ts';
import { accountDeletedMail } from './templates/account-deleted.ts';
import { alreadyRegisteredMail } from './templates/already-registered.ts';
import { contactChangeUndoneMail } from './templates/contact-change-undone.ts';
import { contactChangedMail } from './templates/contact-changed.ts';
import { factorChangedMail } from './templates/factor-changed.ts';
import { loginCodeMail } from './templates/login-code.ts';
import { newDeviceMail } from './templates/new-device.ts';
import { passwordChangedMail } from './templates/password-changed.ts';
import { resetMail } from './templates/reset.ts';
import { verificationMail } from './templates/verification.ts';
import { welcomeMail } from './templates/welcome.ts';

export type MailSample = { template: string; description: string; content: MailContent };

const at = new Date('2030-05-17T09:30:00Z');
const name = 'Ada Byron';

/** `appName` and `frontendUrl` as the deployment's own mails would show them. */
export function mailSamples(brand: { appName: string; frontendUrl: string }): MailSample[] {
  const sample = (template: string, description: string, content: MailContent): MailSample => ({
    template,
    description,
    content,
  });
  return [
    sample(
      'verification',
      'The code of a registration or of an added address',
      verificationMail({ ...brand, code: '271828', life: '5 minutes' }),
    ),
    sample(
      'login_code',
      'A code to log in with',
      loginCodeMail({ ...brand, code: '314159', life: '5 minutes' }),
    ),
    sample(
      'reset',
      'The link to a new password',
      resetMail({
        ...brand,
        name,
        link: `${brand.frontendUrl}/reset-password?code=AAAAAAAAAAAAAAAAAAAAAA.sample`,
        minutes: 30,
      }),
    ),
    sample('welcome', 'The account is open', welcomeMail({ ...brand, name })),
    sample('password_changed', 'The password is another one', passwordChangedMail({ ...brand, name, at })),
    sample(
      'contact_changed',
      'A phone number or address is another one',
      contactChangedMail({
        ...brand,
        name,
        at,
        undo: {
          link: `${brand.frontendUrl}/undo-contact-change?code=AAAAAAAAAAAAAAAAAAAAAA.sample`,
          until: new Date('2030-05-20T09:30:00Z'),
        },
      }),
    ),
    sample(
      'contact_change_undone',
      'A change of contacts was taken back',
      contactChangeUndoneMail({ ...brand, name, at }),
    ),
    sample(
      'account_deleted',
      'The account is deleted, and erased in 30 days',
      accountDeletedMail({ ...brand, name, at }),
    ),
    sample(
      'new_device',
      'A login from an unknown device',
      newDeviceMail({ ...brand, name, at, network: '192.0.2.7', country: 'DE' }),
    ),
    sample(
      'factor_added',
      'A second factor is in use',
      factorChangedMail('factor_added', { ...brand, name, at }),
    ),
    sample(
      'factor_removed',
      'A second factor is gone',
      factorChangedMail('factor_removed', { ...brand, name, at }),
    ),
    sample(
      'factor_waiting',
      'Too many wrong codes',
      factorChangedMail('factor_waiting', { ...brand, name, at }),
    ),
    sample(
      'backup_codes_renewed',
      'Earlier backup codes have ended',
      factorChangedMail('backup_codes_renewed', { ...brand, name, at }),
    ),
    sample(
      'already_registered',
      'Somebody registers with an address that has an account',
      alreadyRegisteredMail(brand),
    ),
  ];
}
