/** What the relay does per outbox topic: derive the code again, call the port, turn an answer into an event. */
import type { Database } from '../../../db/client.ts';
import { contactById } from '../../../db/contacts.ts';
import type { FlowStore } from '../../../db/flows.ts';
import type { createKycStore } from '../../../db/kyc.ts';
import type { OutboxItem } from '../../../db/outbox.ts';
import { birthDateOf } from '../../../db/profiles.ts';
import type { Effects } from '../../../machines/effects.ts';
import type { KmsPort, KycPort, RiskPort, SmsPort } from '../../adapters/ports.ts';
import { DeliveryError } from '../../adapters/ports.ts';
import { reservedOutcome } from '../../adapters/reserved.ts';
import { identifierFacts, type RiskRules } from '../../adapters/risk-local.ts';
import type { TopicHandler } from '../../engine/delivery.ts';
import type { Engine } from '../../engine/engine.ts';
import type { PublishedEvent } from '../../engine/events.ts';
import type { Proofs } from '../../engine/proofs.ts';
import type { Clock } from '../../kernel/clock.ts';
import { type Providers, systemEnvelope } from '../kyc/verdicts.ts';
import { createResend } from '../signup/resend.ts';
import type { MailDelivery } from './deliver-mail.ts';
import type { SmsText } from './sms-text.ts';

/** What a code by SMS says it is for. */
const SMS_PURPOSE = {
  login: 'login',
  signup: 'signup',
  email: 'email',
  contact: 'change',
  proof: 'login',
} as const;

export type Deliveries = Record<string, TopicHandler>;

const eventOf = ({ id, accountId, payload, createdAt }: OutboxItem): PublishedEvent => ({
  id,
  type: (payload as { type: string }).type,
  accountId,
  payload,
  at: createdAt,
});

/** Codes older than this are worthless: a late message would only confuse. */
const CODE_MAX_AGE_MS = 60_000;

export function createDeliveries(deps: {
  db: Database;
  flows: FlowStore;
  engine: Engine;
  kyc: ReturnType<typeof createKycStore>;
  proofs: Proofs;
  providers: Providers;
  clock: Clock;
  kms: KmsPort;
  sms: SmsPort;
  smsText: SmsText;
  smsNotice: TopicHandler;
  mail: MailDelivery;
  kycPort: KycPort;
  risk: RiskPort | null;
  riskRules: RiskRules;
  demo: boolean;
  /** Hands published events to consumers (Redis Streams when there is one). */
  publish: (events: PublishedEvent[]) => Promise<void>;
}): Deliveries {
  const { db, kyc, proofs, providers, clock } = deps;
  return {
    'code.send': async (item) => {
      const { id, flowId, payload, createdAt } = item;
      const { contactId, purpose, counter } = payload as Effects['sendCode'];
      const contact = await contactById(db, contactId);
      if (!contact || !flowId) throw new DeliveryError('the contact is gone', false);
      if (contact.type === 'email') return deps.mail.code(item);
      if (clock.now() - createdAt.getTime() > CODE_MAX_AGE_MS)
        throw new DeliveryError('the code is too old', false);
      if (deps.demo && reservedOutcome(contact.canonical) === 'delivery_failed') {
        throw new DeliveryError('reserved number: delivery fails', false);
      }
      const code = proofs.code(flowId, purpose, counter);
      await deps.sms.send({
        id,
        to: contact.canonical,
        text: deps.smsText({ purpose: SMS_PURPOSE[purpose], code }),
        code,
      });
    },
    'mail.send': deps.mail.send,
    'sms.send': deps.smsNotice,
    'verification.resend': createResend(deps),
    'kyc.submit': async ({ id, payload }) => {
      const record = await kyc.byId((payload as { kycId: string }).kycId);
      if (!record) throw new DeliveryError('the KYC record is gone', false);
      const documentNumber = await deps.kms.decrypt(
        record.numberSealed,
        `kyc|${record.accountId}|${record.id}|number`,
      );
      const verdict = await deps.kycPort.submit({
        id,
        applicantId: record.id,
        documentType: record.documentType,
        documentNumber,
      });
      if (verdict) await providers.kycVerdict(verdict, systemEnvelope('provider'));
    },
    'risk.evaluate': async ({ id, flowId, payload }) => {
      if (!deps.risk || !flowId) throw new DeliveryError('no risk provider is configured', false);
      const { stage } = payload as { stage: 'signup' | 'kyc' };
      const loaded = await deps.flows.byId(flowId, { deviceId: null, now: new Date(clock.now()) });
      if (!loaded?.flow.accountId) throw new DeliveryError('the flow is gone', false);
      const phone = loaded.contact?.type === 'phone' ? loaded.contact.canonical : null;
      const verdict = await deps.risk.evaluate({
        id,
        flowId,
        stage,
        country: null,
        birthDate: await birthDateOf(db, loaded.flow.accountId),
        codeRetries: Number((loaded.flow.snapshot.context as { codeRetries?: number }).codeRetries ?? 0),
        identifier: identifierFacts(phone, deps.riskRules),
      });
      await providers.riskVerdict(flowId, stage, verdict);
    },
    event: Object.assign(async (item: OutboxItem) => deps.publish([eventOf(item)]), {
      many: (items: OutboxItem[]) => deps.publish(items.map(eventOf)),
    }),
  };
}
