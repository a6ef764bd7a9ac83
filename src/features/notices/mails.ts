/** Each mail as its texts and what fills them. Links lead to the configured front end only; nothing else is linked. */
import { ERASURE_DELAY_MS } from '../../engine/retention.ts';
import { type Brand, type MailContent, renderLetter } from './layout/letter.ts';
import type { TextKey, Wording } from './texts/catalogue.ts';

/** What has a subject, a text and a closing in the catalogue. */
export type MailName = {
  [K in TextKey]: K extends `mail.${infer Name}.subject` ? Name : never;
}[TextKey];

/** A change of an account: whose, and when. */
type Change = { name: string | null; at: Date };

export type Mails = ReturnType<typeof createMails>;

export function createMails({ frontendUrl, ...brand }: Brand & { frontendUrl: string }) {
  function write(
    mail: MailName,
    wording: Wording,
    {
      values = {},
      name = null,
      code,
      link,
      more = [],
    }: {
      values?: Record<string, string>;
      name?: string | null;
      code?: string;
      link?: { label: TextKey; href: string };
      more?: string[];
    },
  ): MailContent {
    const say = (part: 'subject' | 'text' | 'closing') => wording.say(`mail.${mail}.${part}`, values);
    return renderLetter(
      {
        name,
        code,
        subject: say('subject'),
        lines: [...say('text').split('\n'), ...more],
        link: link && { label: wording.say(link.label), href: link.href },
        closing: say('closing'),
      },
      wording,
      brand,
    );
  }
  const open = { label: 'button.open', href: frontendUrl } as const;
  const coded =
    (mail: 'verification' | 'login_code') =>
    (w: Wording, { code, lifeMs }: { code: string; lifeMs: number }): MailContent =>
      write(mail, w, { code, values: { code, life: w.duration(lifeMs) } });
  const changed =
    (
      mail:
        | 'password_changed'
        | 'contact_changed'
        | 'contact_change_undone'
        | 'factor_added'
        | 'factor_removed'
        | 'factor_waiting'
        | 'backup_codes_renewed',
    ) =>
    (w: Wording, { name, at }: Change): MailContent =>
      write(mail, w, { name, values: { at: w.moment(at) }, link: open });

  return {
    /** It goes to unproven addresses, so it repeats nothing that a person typed. */
    verification: coded('verification'),
    login_code: coded('login_code'),
    reset: (w: Wording, { name, href, lifeMs }: { name: string | null; href: string; lifeMs: number }) =>
      write('reset', w, {
        name,
        values: { life: w.duration(lifeMs) },
        link: { label: 'button.reset', href },
      }),
    welcome: (w: Wording, { name }: { name: string | null }) => write('welcome', w, { name, link: open }),
    password_changed: changed('password_changed'),
    contact_changed: changed('contact_changed'),
    /** To those who read for the account before the change: with the link that undoes it. */
    contact_changed_undo: (w: Wording, { name, at, href, until }: Change & { href: string; until: Date }) =>
      write('contact_changed_undo', w, {
        name,
        values: { at: w.moment(at), until: w.moment(until) },
        link: { label: 'button.undo', href },
      }),
    contact_change_undone: changed('contact_change_undone'),
    factor_added: changed('factor_added'),
    factor_removed: changed('factor_removed'),
    factor_waiting: changed('factor_waiting'),
    backup_codes_renewed: changed('backup_codes_renewed'),
    account_deleted: (w: Wording, { name, at }: Change) =>
      write('account_deleted', w, {
        name,
        values: { at: w.moment(at), erased: w.moment(new Date(at.getTime() + ERASURE_DELAY_MS)) },
      }),
    /** What a browser calls itself is not repeated. `network`: the address range as recorded. */
    new_device: (
      w: Wording,
      { name, at, network, country }: Change & { network: string | null; country: string | null },
    ) => {
      const place = network === null || country === null ? network : `${network} (${country})`;
      return write('new_device', w, {
        name,
        values: { at: w.moment(at) },
        more: place === null ? [] : [w.say('mail.new_device.network', { place })],
        link: open,
      });
    },
    /** What the owner of an address gets instead of a code when the address is registered again. */
    already_registered: (w: Wording) => write('already_registered', w, { link: open }),
  } satisfies Record<MailName, unknown>;
}
