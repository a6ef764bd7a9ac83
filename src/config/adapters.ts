/** Which adapter stands behind each port, and what it needs. A half-configured adapter stops the start. */
import type { Settings } from './variables.ts';

type Values = Settings['values'];

export function adaptersOf({ values: v, mistakes }: Settings, env: string) {
  const demand = (chosenBy: string, names: (keyof Values)[]): void => {
    for (const name of names)
      if (v[name] === null) mistakes.add(name, `is required by the chosen ${chosenBy}`);
  };
  const smtpOrLocal = v.SMTP_HOST === null ? 'local' : 'smtp';
  const mail = v.MAIL_ADAPTER ?? (v.SENDGRID_API_KEY === null ? smtpOrLocal : 'sendgrid');
  if (v.SMS_ADAPTER === 'twilio') {
    demand('SMS_ADAPTER', ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN', 'TWILIO_FROM']);
  }
  if (mail === 'smtp') demand('MAIL_ADAPTER', ['SMTP_HOST']);
  if (mail === 'sendgrid') demand('MAIL_ADAPTER', ['SENDGRID_API_KEY']);
  if (v.KYC_ADAPTER === 'http') {
    demand('KYC_ADAPTER', ['KYC_URL', 'KYC_SECRET', 'KYC_WEBHOOK_SECRET']);
  }
  if (v.KYC_WEBHOOK_SECRET?.length === 0) {
    mistakes.add('KYC_WEBHOOK_SECRET', 'must hold at least one secret');
  }
  if (v.RISK_ADAPTER === 'http') demand('RISK_ADAPTER', ['RISK_URL', 'RISK_SECRET']);

  return {
    /** Whether something here would reach real people; then the demo is not what was meant. */
    real: v.SMS_ADAPTER !== 'local' || mail !== 'local' || v.KYC_ADAPTER !== 'local',
    /** In the demo nothing leaves the process, whatever is configured. */
    config: (demo: boolean) => ({
      sms: {
        adapter: demo ? 'local' : v.SMS_ADAPTER,
        accountSid: v.TWILIO_ACCOUNT_SID,
        authToken: v.TWILIO_AUTH_TOKEN,
        from: v.TWILIO_FROM,
        baseUrl: v.TWILIO_BASE_URL,
      },
      mail: {
        adapter: demo ? 'local' : mail,
        from: v.EMAILS_FROM_EMAIL,
        fromName: v.EMAILS_FROM_NAME ?? v.APP_NAME,
        smtp: {
          host: v.SMTP_HOST,
          port: v.SMTP_PORT,
          username: v.SMTP_USERNAME,
          password: v.SMTP_PASSWORD,
          /** TLS from the first byte. */
          secure: v.SMTP_PORT === 465,
          /** STARTTLS or nothing. */
          requireTls: v.SMTP_TLS,
        },
        sendgridKey: v.SENDGRID_API_KEY,
        sendgridUrl: v.SENDGRID_BASE_URL,
      },
      kyc: {
        adapter: demo ? 'local' : v.KYC_ADAPTER,
        url: v.KYC_URL,
        secret: v.KYC_SECRET,
        /** Any of them verifies. Empty: generate one and keep it under `dataDir`. */
        webhookSecrets: v.KYC_WEBHOOK_SECRET ?? [],
      },
      risk: {
        adapter: demo ? 'local' : v.RISK_ADAPTER,
        url: v.RISK_URL,
        secret: v.RISK_SECRET,
        blockedPrefixes: v.RISK_BLOCKED_PREFIXES,
        minimumAge: v.RISK_MINIMUM_AGE,
      },
      broker: {
        adapter: demo ? 'local' : (v.BROKER_ADAPTER ?? (env === 'production' ? 'kite' : 'local')),
        baseUrl: v.KITE_API_BASE_URL,
        timeoutMs: v.KITE_API_TIMEOUT_SECONDS * 1000,
        maxRetries: v.KITE_API_MAX_RETRIES,
      },
    }),
  };
}
