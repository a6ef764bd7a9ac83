/** Whether this replica can serve: the database and its schema decide; everything else only degrades it. */
import type { Services } from '../../http/services.ts';

export type Readiness = { ready: boolean; checks: Record<string, string>; degraded: string[] };

const MAX_SKEW_MS = 30_000;

export async function readinessOf(
  s: Pick<Services, 'db' | 'redis' | 'clock' | 'config'>,
): Promise<Readiness> {
  const degraded: string[] = [];
  const checks: Record<string, string> = {};
  let ready = true;
  try {
    const [missing, databaseNow, readOnly] = await Promise.all([
      s.db.pendingMigrations(),
      s.db.now(),
      s.db.readOnly(),
    ]);
    // A standby, or a primary whose disk is full: every sign-up and login would fail.
    checks.database = missing > 0 ? `${missing} migrations missing` : readOnly ? 'read-only' : 'ok';
    ready = checks.database === 'ok';
    // Deadlines are compared with this clock: a replica that lives in another time must not decide them.
    if (Math.abs(databaseNow + s.clock.offset() - s.clock.now()) > MAX_SKEW_MS) {
      checks.clock = 'differs from the database by more than 30 s';
      ready = false;
    }
  } catch {
    checks.database = 'unreachable';
    ready = false;
  }
  if (s.config.redis.url !== null) {
    const health = s.redis?.health();
    checks.redis = health?.up ? (health.refuses ?? (health.evicting ? 'evicting' : 'ok')) : 'unreachable';
    if (checks.redis !== 'ok') degraded.push('redis');
  }
  return { ready, checks, degraded };
}
