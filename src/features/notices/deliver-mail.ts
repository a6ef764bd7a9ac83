/**
 * Sends what the outbox asks to be mailed: looks the address up, takes the recipient's one budget, renders, hands over.
 * A mail goes to a stored address only, its links lead to the configured front end only.
 */
import type { FlowStore } from '../../../db/flows.ts';
import type { OutboxItem } from '../../../db/outbox.ts';
import type { Recipient, Recipients } from '../../../db/recipients.ts';
import type { Effects, MailTemplate } from '../../../machines/effects.ts';
import { DeliveryError, type MailPort } from '../../adapters/ports.ts';
import type { RelayLog } from '../../engine/delivery.ts';
import type { Proofs } from '../../engine/proofs.ts';
import type { Limits } from '../../http/limits/policy.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Keyring } from '../../kernel/crypto/keyring.ts';
import { spelled } from '../../kernel/identifiers/index.ts';
import type { MailContent } from './layout/letter.ts';
import type { Mails } from './mails.ts';
import type { Texts, Wording } from './texts/catalogue.ts';

export type MailDelivery = ReturnType<typeof createMailDelivery>;

type Address = { value: string; canonical: string };
/** Notices of what may be a takeover: beyond the budget they come later, not never. */
const HELD_BACK = new Set<MailTemplate>([
  'password_changed',
  'contact_changed',
  'contact_change_undone',
  'account_deleted',
  'new_device',
  'factor_added',
  'factor_removed',
  'factor_waiting',
  'backup_codes_renewed',
]);
const FULL = 'the budget of its recipient is used up';

/** The language of the request that caused the message, as the commit wrote it down. */
export const languageOf = ({ payload }: OutboxItem): string | null =>
  (payload as { language?: string }).language ?? null;

type Written = { content: MailContent; code?: string } | null;

export function createMailDelivery(deps: {
  recipients: Recipients;
  flows: FlowStore;
  mail: MailPort;
  limits: Limits;
  proofs: Proofs;
  keyring: Keyring;
  clock: Clock;
  log: RelayLog;
  texts: Texts;
  mails: Mails;
  settings: { frontendUrl: string; resetTtlS: number };
}) {
  const { recipients, flows, limits, proofs, keyring, clock, texts, mails, settings } = deps;
  const { frontendUrl } = settings;
  const loaded = (flowId: string | null) =>
    flowId === null ? undefined : flows.byId(flowId, { deviceId: null, now: new Date(clock.now()) });

  async function post(item: OutboxItem, to: Address, { content, code }: Written & object): Promise<void> {
    // A recovery took its place in the budget when it was asked for.
    if (item.payload.template !== 'reset') {
      const { suppressed } = await limits.mail({ recipient: to.canonical, mailId: item.id });
      // An attacker who fills the mailbox must not keep the change from its owner: the notice waits for a place.
      if (suppressed && HELD_BACK.has(item.payload.template as MailTemplate))
        throw new DeliveryError(FULL, true);
      if (suppressed) {
        deps.log.warn({ id: item.id }, `mail not sent: ${FULL}`);
        return;
      }
    }
    await deps.mail.send({ id: item.id, to: to.value, ...content, ...(code === undefined ? {} : { code }) });
  }

  /** What an unproven address is written in, the profile of the flow's account says. */
  async function recipientOf(contactId: string, accountId: string | null): Promise<Recipient> {
    const recipient = await recipients.byContact(contactId, accountId);
    if (!recipient) throw new DeliveryError('the contact is gone', false);
    return recipient;
  }

  const wordingFor = (item: OutboxItem, { locale, timezone }: Recipient): Wording =>
    texts.for({ locale, timezone, language: languageOf(item) });

  /** A reset link carries the recovery flow's own token, derived again. */
  async function resetLink(item: OutboxItem): Promise<string | null> {
    const { flow } = (await loaded(item.flowId)) ?? {};
    if (!flow?.tokenGeneration || flow.status !== 'active') return null;
    return `${frontendUrl}/reset-password?code=${keyring.flowTokenFor(flow.id, flow.tokenGeneration)}`;
  }

  /** A link with the token of the contact change, while that can be undone. An address of another account by now gets none. */
  async function undoOf(
    item: OutboxItem,
    recipient: Recipient,
  ): Promise<{ href: string; until: Date } | null> {
    if ((item.payload as { link?: boolean }).link !== true) return null;
    const { flow } = (await loaded(item.flowId)) ?? {};
    if (!flow?.tokenGeneration || !flow.tokenExpiresAt || flow.status !== 'active') return null;
    if (recipient.accountId !== null && recipient.accountId !== flow.accountId) return null;
    const code = keyring.flowTokenFor(flow.id, flow.tokenGeneration);
    return { href: `${frontendUrl}/undo-contact-change?code=${code}`, until: flow.tokenExpiresAt };
  }

  /** Null: by now there is nothing to say. */
  async function write(template: MailTemplate, item: OutboxItem, recipient: Recipient): Promise<Written> {
    const { name } = recipient;
    const at = item.createdAt;
    const wording = wordingFor(item, recipient);
    switch (template) {
      case 'reset': {
        const href = await resetLink(item);
        const lifeMs = settings.resetTtlS * 1000;
        return href === null ? null : { content: mails.reset(wording, { name, href, lifeMs }) };
      }
      case 'welcome':
        return { content: mails.welcome(wording, { name }) };
      case 'contact_changed': {
        const undo = await undoOf(item, recipient);
        return {
          content: undo
            ? mails.contact_changed_undo(wording, { name, at, ...undo })
            : mails.contact_changed(wording, { name, at }),
        };
      }
      case 'password_changed':
      case 'contact_change_undone':
      case 'account_deleted':
      case 'factor_added':
      case 'factor_removed':
      case 'factor_waiting':
      case 'backup_codes_renewed':
        return { content: mails[template](wording, { name, at }) };
      case 'new_device': {
        const [accountId, flowId] = [recipient.accountId, item.flowId];
        const place =
          accountId === null || flowId === null ? null : await recipients.loginPlace(accountId, flowId);
        return place === null || place.familiar
          ? null
          : { content: mails.new_device(wording, { name, ...place }) };
      }
      case 'already_registered':
        return { content: mails.already_registered(wording) };
      case 'verification':
        throw new DeliveryError('a verification is sent as a code', false);
    }
  }

  return {
    /** `mail.send`: to the contact when it is an address, else to the proven address of its account, if any. */
    async send(item: OutboxItem): Promise<void> {
      const { template, contactId } = item.payload as { template: MailTemplate; contactId: string };
      const recipient = await recipientOf(contactId, null);
      const to = recipient.type === 'email' ? recipient : recipient.accountEmail;
      if (to === null) return;
      const written = await write(template, item, recipient);
      if (written) await post(item, to, written);
    },

    /** `code.send` to an address. An address that belongs to a finished sign-up gets a notice instead of a code. */
    async code(item: OutboxItem): Promise<void> {
      const { contactId, purpose, counter, expiresAt, capitals = [] } = item.payload as Effects['sendCode'];
      const source = await loaded(item.flowId);
      if (!source) throw new DeliveryError('the flow is gone', false);
      const recipient = await recipientOf(contactId, source.flow.accountId);
      const wording = wordingFor(item, recipient);
      if (!(clock.now() < expiresAt)) throw new DeliveryError('the code has expired', false);
      const taken = purpose !== 'login' && recipient.accountId !== null && source.flow.accountId !== null;
      if (taken && recipient.accountId !== source.flow.accountId && !recipient.signupUnderWay) {
        await post(item, recipient, { content: mails.already_registered(wording) });
        return;
      }
      const code = proofs.code(source.flow.id, purpose, counter);
      const lifeMs = expiresAt - item.createdAt.getTime();
      const compose = purpose === 'login' ? mails.login_code : mails.verification;
      // As it was spelled for this flow, not as another flow first spelled it; a login names a proven address.
      const proven = source.flow.machine === 'login';
      const to = proven ? recipient : { ...recipient, value: spelled(recipient.canonical, capitals) };
      await post(item, to, { content: compose(wording, { code, lifeMs }), code });
    },
  };
}
