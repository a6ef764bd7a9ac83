/** Chooses the adapter behind each port from the configuration. */

import type { Config } from '../config/index.ts';
import type { Clock } from '../kernel/clock.ts';
import { createKiteBroker } from './broker-kite.ts';
import { createPaperBroker } from './broker-paper.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { createHttpKyc } from './kyc-http.ts';
import { createLocalKyc } from './kyc-local.ts';
import { createLocalMail } from './mail-local.ts';
import { createSendgridMail } from './mail-sendgrid.ts';
import { createSmtpMail } from './mail-smtp.ts';
import type { BrokerName, BrokerPort, KycPort, MailPort, RiskPort, SmsPort } from './ports.ts';
import { createHttpRisk } from './risk-http.ts';
import { DEFAULT_RISK_RULES, type RiskRules } from './risk-local.ts';
import { createLocalSms } from './sms-local.ts';
import { createTwilioSms } from './sms-twilio.ts';

export type Adapters = {
  sms: SmsPort;
  mail: MailPort;
  kyc: KycPort;
  /** Null: the local rules decide at once. */
  risk: RiskPort | null;
  riskRules: RiskRules;
  /** Brokers whose accounts can be linked here. The paper broker answers for Kite where that is not configured. */
  brokers: Partial<Record<BrokerName, BrokerPort>>;
  /** What the local adapters took; null when all messages really leave. */
  inbox: Inbox | null;
};

function createBrokers({ broker }: Pick<Config, 'broker'>, now: () => number): Adapters['brokers'] {
  if (broker.adapter === 'kite') return { kite: createKiteBroker(broker) };
  const paper = createPaperBroker({ now });
  return { kite: paper, paper };
}

function createMail({ mail }: Pick<Config, 'mail'>, inbox: Inbox): MailPort {
  const { smtp } = mail;
  const from = { address: mail.from, name: mail.fromName };
  if (mail.adapter === 'local') return createLocalMail({ inbox });
  if (mail.adapter === 'sendgrid') {
    return createSendgridMail({ baseUrl: mail.sendgridUrl, apiKey: mail.sendgridKey ?? '', from });
  }
  return createSmtpMail({
    host: smtp.host ?? '',
    port: smtp.port,
    tls: smtp.secure ? 'implicit' : smtp.requireTls ? 'starttls' : 'none',
    ...(smtp.username === null ? {} : { auth: { user: smtp.username, pass: smtp.password ?? '' } }),
    from,
  });
}

export function createAdapters(config: Config, clock: Clock): Adapters {
  const now = () => clock.now();
  const { sms, kyc, risk } = config;
  const inbox = createInbox({ now });
  const local = sms.adapter === 'local';
  return {
    sms: local
      ? createLocalSms({ inbox })
      : createTwilioSms({
          ...(sms.baseUrl ? { baseUrl: sms.baseUrl } : {}),
          accountSid: sms.accountSid ?? '',
          authToken: sms.authToken ?? '',
          sender: sms.from?.startsWith('MG') ? { messagingServiceSid: sms.from } : { from: sms.from ?? '' },
        }),
    mail: createMail(config, inbox),
    kyc:
      kyc.adapter === 'local'
        ? createLocalKyc()
        : createHttpKyc({ url: kyc.url ?? '', secret: kyc.secret ?? '', now }),
    risk:
      risk.adapter === 'local'
        ? null
        : createHttpRisk({ url: risk.url ?? '', apiKey: risk.secret ?? '', now }),
    brokers: createBrokers(config, now),
    riskRules: {
      ...DEFAULT_RISK_RULES,
      minimumAge: risk.minimumAge,
      blockedPrefixes: config.demo
        ? [...DEFAULT_RISK_RULES.blockedPrefixes, ...risk.blockedPrefixes]
        : risk.blockedPrefixes,
      reservedNumbers: config.demo,
    },
    inbox: local || config.mail.adapter === 'local' ? inbox : null,
  };
}
