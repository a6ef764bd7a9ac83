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

export type MailDelivery = ReturnType<typeof createMailDelivery>;

type Address = { value: string; canonical: string };
/** How long a code is good for from when it was asked for, never longer than it is. */
const lifeIn = (ms: number): string => {
  const [count, unit] =
    ms < 120_000 ? [Math.floor(ms / 1000), 'second'] : [Math.floor(ms / 60_000), 'minute'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
};

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
  settings: { appName: string; frontendUrl: string; resetTtlS: number };
}) {
  const { recipients, flows, limits, proofs, keyring, clock, settings } = deps;
  const { appName, frontendUrl } = settings;
  const brand = { appName, frontendUrl };
  const loaded = (flowId: string | null) =>
    flowId === null ? undefined : flows.byId(flowId, { deviceId: null, now: new Date(clock.now()) });

  async function post(item: OutboxItem, to: Address, { content, code }: Written & object): Promise<void> {
    // A recovery took its place in the budget when it was asked for.
    if (item.payload.template !== 'reset') {
      const { suppressed } = await limits.mail({ recipient: to.canonical, mailId: item.id });
      // Whoever fills somebody's mailbox must not keep from them what has changed: that waits for a place.
      if (suppressed && HELD_BACK.has(item.payload.template as MailTemplate))
        throw new DeliveryError(FULL, true);
      if (suppressed) {
        deps.log.warn({ id: item.id }, `mail not sent: ${FULL}`);
        return;
      }
    }
    await deps.mail.send({ id: item.id, to: to.value, ...content, ...(code === undefined ? {} : { code }) });
  }

  async function recipientOf(contactId: string): Promise<Recipient> {
    const recipient = await recipients.byContact(contactId);
    if (!recipient) throw new DeliveryError('the contact is gone', false);
    return recipient;
  }

  /** A reset link carries the recovery flow's own token, derived again. */
  async function resetLink(item: OutboxItem): Promise<string | null> {
    const { flow } = (await loaded(item.flowId)) ?? {};
    if (!flow?.tokenGeneration || flow.status !== 'active') return null;
    return `${frontendUrl}/reset-password?code=${keyring.flowTokenFor(flow.id, flow.tokenGeneration)}`;
  }

  /** Likewise of the change it tells of, while that can be undone. An address that is somebody else's by now gets none. */
  async function undoOf(
    item: OutboxItem,
    recipient: Recipient,
  ): Promise<{ link: string; until: Date } | null> {
    if ((item.payload as { link?: boolean }).link !== true) return null;
    const { flow } = (await loaded(item.flowId)) ?? {};
    if (!flow?.tokenGeneration || !flow.tokenExpiresAt || flow.status !== 'active') return null;
    if (recipient.accountId !== null && recipient.accountId !== flow.accountId) return null;
    const code = keyring.flowTokenFor(flow.id, flow.tokenGeneration);
    return { link: `${frontendUrl}/undo-contact-change?code=${code}`, until: flow.tokenExpiresAt };
  }

  /** Null: by now there is nothing to say. */
  async function write(template: MailTemplate, item: OutboxItem, recipient: Recipient): Promise<Written> {
    const { name } = recipient;
    const at = item.createdAt;
    switch (template) {
      case 'reset': {
        const link = await resetLink(item);
        const minutes = Math.ceil(settings.resetTtlS / 60);
        return link === null ? null : { content: resetMail({ appName, name, link, minutes }) };
      }
      case 'welcome':
        return { content: welcomeMail({ ...brand, name }) };
      case 'password_changed':
        return { content: passwordChangedMail({ ...brand, name, at }) };
      case 'contact_changed':
        return { content: contactChangedMail({ ...brand, name, at, undo: await undoOf(item, recipient) }) };
      case 'contact_change_undone':
        return { content: contactChangeUndoneMail({ ...brand, name, at }) };
      case 'account_deleted':
        return { content: accountDeletedMail({ appName, name, at }) };
      case 'factor_added':
      case 'factor_removed':
      case 'factor_waiting':
      case 'backup_codes_renewed':
        return { content: factorChangedMail(template, { ...brand, name, at }) };
      case 'new_device': {
        const place = item.flowId === null ? null : await recipients.loginPlace(item.flowId);
        return place === null || place.familiar
          ? null
          : { content: newDeviceMail({ ...brand, name, ...place }) };
      }
      case 'already_registered':
        return { content: alreadyRegisteredMail(brand) };
      case 'verification':
        throw new DeliveryError('a verification is sent as a code', false);
    }
  }

  return {
    /** `mail.send`: to the contact when it is an address, else to the proven address of its account, if any. */
    async send(item: OutboxItem): Promise<void> {
      const { template, contactId } = item.payload as { template: MailTemplate; contactId: string };
      const recipient = await recipientOf(contactId);
      const to = recipient.type === 'email' ? recipient : recipient.accountEmail;
      if (to === null) return;
      const written = await write(template, item, recipient);
      if (written) await post(item, to, written);
    },

    /** `code.send` to an address. An address of somebody who has signed up gets a notice instead of a code. */
    async code(item: OutboxItem): Promise<void> {
      const { contactId, purpose, counter, expiresAt, capitals = [] } = item.payload as Effects['sendCode'];
      const [recipient, source] = await Promise.all([recipientOf(contactId), loaded(item.flowId)]);
      if (!source) throw new DeliveryError('the flow is gone', false);
      if (!(clock.now() < expiresAt)) throw new DeliveryError('the code has expired', false);
      const taken = purpose !== 'login' && recipient.accountId !== null && source.flow.accountId !== null;
      if (taken && recipient.accountId !== source.flow.accountId && !recipient.signupUnderWay) {
        await post(item, recipient, { content: alreadyRegisteredMail(brand) });
        return;
      }
      const code = proofs.code(source.flow.id, purpose, counter);
      const life = lifeIn(expiresAt - item.createdAt.getTime());
      const compose = purpose === 'login' ? loginCodeMail : verificationMail;
      // As it was spelled for this flow, whoever named the address before; a login names one that is proven.
      const proven = source.flow.machine === 'login';
      const to = proven ? recipient : { ...recipient, value: spelled(recipient.canonical, capitals) };
      await post(item, to, { content: compose({ appName, code, life }), code });
    },
  };
}
