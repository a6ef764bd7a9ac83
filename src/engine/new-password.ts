/** Checks and hashes a new password: policy first, then the hash, both before any transaction. */

import type { Config } from '../config/index.ts';
import type { Hasher } from '../kernel/hashing/index.ts';
import { checkPassword } from '../kernel/passwords/policy.ts';
import { Problem } from '../kernel/problems.ts';

/**
 * The hash to store.
 * @throws Problem weak_password with the reasons, overloaded
 */
export async function acceptPassword(
  { config, hasher }: { config: Pick<Config, 'password'>; hasher: Hasher },
  password: string,
  /** `context`: what the person is known by; `previous`: the hash of the account a new password must not match. */
  options: { accountId: string; context: string[]; previous?: string | null; pointer?: string },
): Promise<string> {
  const errors = checkPassword(password, {
    policy: config.password.policy === 'nist' ? 'nist' : 'default',
    minLength: config.password.minLength,
    context: options.context.filter(Boolean),
    pointer: options.pointer ?? '/body/password',
  });
  if (errors.length) throw new Problem('weak_password', { errors });
  const { accountId, previous } = options;
  if (previous && (await hasher.verify(previous, password, accountId))) {
    const same = { code: 'password_unchanged', message: 'Choose another password than the present one' };
    throw new Problem('weak_password', {
      errors: [{ pointer: options.pointer ?? '/body/password', ...same }],
    });
  }
  return hasher.hash(password, accountId);
}
