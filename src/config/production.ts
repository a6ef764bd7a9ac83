/** What `NODE_ENV=production` refuses to start with. Names the variable; the value stays unsaid. */
import { addressOf } from '../../db/address.ts';
import type { Config } from './assemble.ts';
import { SAMPLE, weakness } from './secret-strength.ts';
import type { Settings } from './variables.ts';

const WEAK_DATABASE_PASSWORD =
  /^(postgres|postgresql|pass|root|admin|user|test|secret|vestibule|12345\d*|letmein)$/i;

export function refuseUnsafe(config: Config, { values: v, source, mistakes }: Settings): void {
  const refuse = (variable: keyof typeof v, reason: string): null =>
    mistakes.add(source(variable) ?? variable, reason);
  const anyGiven = (...names: (keyof typeof v)[]): boolean => names.some((name) => source(name) !== null);
  const strong = (variable: keyof typeof v, value: string | Buffer | null): void => {
    const reason = value === null ? 'is required in production' : weakness(value);
    if (reason) refuse(variable, reason);
  };

  if (config.demo) refuse('DEMO_MODE', 'must not be true in production');
  // A given but wrong address is a mistake already.
  if (config.database.url === null && !anyGiven('DATABASE_URL', 'DB_HOST', 'DB_USER', 'DB_NAME', 'DB_PASS')) {
    refuse('DATABASE_URL', 'is required in production');
  }
  const password = config.database.url === null ? '' : (addressOf(config.database.url).pass ?? '');
  if (WEAK_DATABASE_PASSWORD.test(password) || SAMPLE.test(password)) {
    refuse(
      v.DATABASE_URL === null ? 'DB_PASS' : 'DATABASE_URL',
      'must not carry a sample password in production',
    );
  }
  if (config.redis.url === null && !anyGiven('REDIS_URL', 'REDIS_HOST'))
    refuse('REDIS_URL', 'is required in production');
  const keyFile = anyGiven(
    'LOCAL_KMS_KEY_PATH',
    ...(v.KMS_PROVIDER === 'local' ? ['KMS_MASTER_KEY_ID' as const] : []),
  );
  if (config.masterKey !== null || !keyFile) strong('MASTER_KEY', config.masterKey);
  strong('PASSWORD_PEPPER', config.passwordPepper);
  strong('SECRET_KEY', config.secretKey);
  if (config.sms.adapter === 'local') refuse('SMS_ADAPTER', 'must name a real provider in production');
  if (config.mail.adapter === 'local')
    refuse('MAIL_ADAPTER', 'must name a real provider (or SMTP_HOST be set) in production');
  if (config.broker.adapter === 'local') refuse('BROKER_ADAPTER', 'must name a real broker in production');
  if (config.kyc.adapter === 'local') refuse('KYC_ADAPTER', 'must name a real provider in production');
  for (const secret of config.kyc.webhookSecrets) strong('KYC_WEBHOOK_SECRET', secret);
  if (v.ADMIN_TOKEN !== null) strong('ADMIN_TOKEN', v.ADMIN_TOKEN);
  if (v.INTROSPECTION_TOKEN !== null) strong('INTROSPECTION_TOKEN', v.INTROSPECTION_TOKEN);
  if (v.PUBLIC_URL === null) refuse('PUBLIC_URL', 'is required in production');
  const { protocol, hostname } = new URL(config.publicUrl);
  if (protocol !== 'https:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)) {
    refuse('PUBLIC_URL', 'must be https in production');
  }
  if (v.SESSION_COOKIE_SECURE === false) refuse('SESSION_COOKIE_SECURE', 'must be true in production');
  if (config.hash.memoryKib < 19456) refuse('HASH_MEMORY_KIB', 'must be at least 19456 in production');
  if (config.hash.iterations < 2) refuse('HASH_ITERATIONS', 'must be at least 2 in production');
  if (config.clockOffsetMs !== 0) refuse('CLOCK_OFFSET_SECONDS', 'must be 0 in production');
}
