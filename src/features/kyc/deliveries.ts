/** What the relay asks of outside deciders: a document goes to the KYC provider, a sign-up to the risk provider. */
import { numberContext } from '../../../db/kyc.ts';
import { birthDateOf } from '../../../db/profiles.ts';
import { DeliveryError } from '../../adapters/ports.ts';
import { identifierFacts } from '../../adapters/risk-local.ts';
import type { TopicHandler } from '../../engine/delivery.ts';
import { systemEnvelope } from '../../engine/records.ts';
import type { Services } from '../../http/services.ts';
import { createVerdicts } from './verdicts.ts';

export function kycDeliveries(s: Services): Record<string, TopicHandler> {
  const { db, kyc, clock, adapters } = s;
  const verdicts = createVerdicts(s);
  return {
    'kyc.submit': async ({ id, payload }) => {
      const record = await kyc.byId((payload as { kycId: string }).kycId);
      if (!record) throw new DeliveryError('the KYC record is gone', false);
      const documentNumber = await s.kms.decrypt(record.numberSealed, numberContext(record));
      const verdict = await adapters.kyc.submit({
        id,
        applicantId: record.id,
        documentType: record.documentType,
        documentNumber,
      });
      if (verdict) await verdicts.kycVerdict(verdict, systemEnvelope('provider'));
    },
    'risk.evaluate': async ({ id, flowId, payload }) => {
      if (!adapters.risk || !flowId) throw new DeliveryError('no risk provider is configured', false);
      const { stage } = payload as { stage: 'signup' | 'kyc' };
      const loaded = await s.flows.byId(flowId, { deviceId: null, now: new Date(clock.now()) });
      if (!loaded?.flow.accountId) throw new DeliveryError('the flow is gone', false);
      const phone = loaded.contact?.type === 'phone' ? loaded.contact.canonical : null;
      const verdict = await adapters.risk.evaluate({
        id,
        flowId,
        stage,
        country: null,
        birthDate: await birthDateOf(db, loaded.flow.accountId),
        codeRetries: Number((loaded.flow.snapshot.context as { codeRetries?: number }).codeRetries ?? 0),
        identifier: identifierFacts(phone, adapters.riskRules),
      });
      await verdicts.riskVerdict(flowId, stage, verdict);
    },
  };
}
