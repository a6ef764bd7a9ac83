/**
 * Ends everything a restored backup would bring back to life: what was revoked, spent or replaced since it was made is
 * good again in it. Only for the command, while no service runs on the database: it reads nothing first and asks nobody.
 */
import { singleConnection } from './single.ts';

/** How many of each were ended or marked. */
export type Stamped = { sessions: number; flowTokens: number; flows: number; passwords: number };

/**
 * Everything issued before `now`, in one transaction: sessions and their refresh tokens, the tokens of all flows (a
 * reset link, a step-up and the link of a notice among them), codes under way. Passwords stay, but each needs a code
 * beside it at its first use. `auditId`: a UUID.
 */
export async function stampRestored(
  url: string,
  { now, auditId }: { now: Date; auditId: string },
): Promise<Stamped> {
  const sql = singleConnection(url, 'vestibule restored');
  const at = now.toISOString();
  try {
    return await sql.begin(async (tx) => {
      // A large table takes as long as it takes.
      await tx`set local statement_timeout = 0`;
      const sessions =
        await tx`update sessions set revoked_at = ${at}::timestamptz, revoke_reason = 'restored'
        where revoked_at is null`;
      const tokens = await tx`update flows set token_hash = null, token_generation = null,
          token_expires_at = least(token_expires_at, ${at}::timestamptz)
        where token_hash is not null or token_generation is not null`;
      // Nothing but proofs under way: the person begins anew, with another code or link.
      const ended =
        await tx`update flows set status = 'archived', next_due_at = null, updated_at = ${at}::timestamptz
        where machine in ('challenge', 'login', 'recovery') and status = 'active'`;
      await tx`delete from console_sessions`;
      // A sign-up goes on, but by another code.
      await tx`update flows set snapshot = jsonb_set(snapshot, '{context,code,expiresAt}', '0')
        where machine = 'signup' and status = 'active' and snapshot #> '{context,code,expiresAt}' is not null`;
      const passwords = await tx`update credentials set password_restored_at = ${at}::timestamptz
        where password_hash is not null`;
      // Codes that were not delivered are worth nothing any more.
      await tx`update outbox set status = 'done', done_at = ${at}::timestamptz, leased_until = null
        where status = 'pending' and topic = 'code.send'`;
      const stamped: Stamped = {
        sessions: sessions.count,
        flowTokens: tokens.count,
        flows: ended.count,
        passwords: passwords.count,
      };
      await tx`insert into audit_events (id, at, type, outcome, actor, data)
        values (${auditId}, ${at}::timestamptz, 'backup.restored', 'success', 'system', ${tx.json(stamped)})`;
      await tx`insert into outbox (id, topic, payload, status, due_at, created_at)
        values (${`restored:${auditId}`}, 'event', ${tx.json({ type: 'backup.restored', outcome: 'success', reason: null })},
          'pending', ${at}::timestamptz, ${at}::timestamptz)`;
      return stamped;
    });
  } finally {
    await sql.end({ timeout: 5 });
  }
}
