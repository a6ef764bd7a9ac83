/** Devices that an account has logged in from. What names one is a keyed hash; its first half is shown to its owner. */
import type { Database } from './client.ts';
import { desc, eq, sql } from './driver/drizzle.ts';
import { devices } from './schema.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

/** Stale when the device has been removed meanwhile. */
export const change = (
  accountId: string,
  deviceId: string,
  { name, trusted }: { name: string | null; trusted: boolean },
): WriteFragment =>
  fragment(
    'update devices set name = ?, trusted = ? where account_id = ? and device_id = ?',
    [name, trusted, accountId, deviceId],
    1,
  );

/** A login from it is one from an unknown device again. */
export const remove = (accountId: string, deviceId: string): WriteFragment =>
  fragment('delete from devices where account_id = ? and device_id = ?', [accountId, deviceId], 1);

export type DeviceStore = ReturnType<typeof createDeviceStore>;
export type Device = Awaited<ReturnType<DeviceStore['list']>>[number];

export function createDeviceStore(db: Database) {
  return {
    /** Most recently used first. */
    list: (accountId: string) =>
      db.reads
        .select({
          deviceId: devices.deviceId,
          name: devices.name,
          trusted: devices.trusted,
          firstSeenAt: devices.firstSeenAt,
          lastSeenAt: devices.lastSeenAt,
          /** Sessions that nobody has ended. */
          sessions: sql<string[]>`(select coalesce(jsonb_agg(s.id), '[]'::jsonb) from sessions s
            where s.account_id = devices.account_id and s.device_id = devices.device_id and s.revoked_at is null)`,
        })
        .from(devices)
        .where(eq(devices.accountId, accountId))
        .orderBy(desc(devices.lastSeenAt))
        .limit(1000),
  };
}
