/** Tells the owner of an account of a change, wherever the owner is known to read: one message per address. */
import { fragment, type WriteFragment } from './write/fragment.ts';

/**
 * To every proven address of the account, or by SMS to its numbers when there is none. Who that is, is read as it was
 * before the commit: an address that leaves is told, one that joins is not. No message depends on another's delivery.
 */
export const notifyOwner = (n: {
  /** Of the effect; each message gets one of its own from it. */
  id: string;
  flowId: string | null;
  accountId: string;
  template: string;
  /** Contacts whose mail carries the link of the flow. */
  linkTo: string[];
  /** Of the request; null: none that has texts. */
  language: string | null;
  now: Date;
}): WriteFragment =>
  fragment(
    `insert into outbox (id, topic, flow_id, payload, status, due_at, created_at)
     select ?::text || ':' || c.id, case c.type when 'email' then 'mail.send' else 'sms.send' end, ?::uuid,
       jsonb_strip_nulls(jsonb_build_object('template', ?::text, 'contactId', c.id, 'language', ?::text))
         || case when c.id::text = any(string_to_array(?, ',')) then jsonb_build_object('link', true) else '{}' end, 'pending', ?::timestamptz, ?::timestamptz
     from contacts c where c.account_id = ?::uuid and c.verified_at is not null
       and (c.type = 'email' or not exists (select 1 from contacts e
         where e.account_id = c.account_id and e.type = 'email' and e.verified_at is not null))
     on conflict do nothing`,
    [
      ...[n.id, n.flowId, n.template, n.language, n.linkTo.join(',')],
      ...[n.now.toISOString(), n.now.toISOString(), n.accountId],
    ],
  );
