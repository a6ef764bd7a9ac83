/** Devices of an account over HTTP: strict requests, and what their owner may see of them. */
import { z } from 'zod';
import type { Device } from '../../../db/devices.ts';
import { labelInput } from '../../http/inputs.ts';
import { shownId } from '../sessions/contract.ts';

export const deviceParams = z.strictObject({ device_id: z.string().regex(/^[0-9a-f]{32}$/) });

export const changeDeviceBody = z
  .strictObject({
    name: labelInput.nullable().optional(),
    trusted: z
      .boolean()
      .optional()
      .describe('False: a login from it answers the PIN each time. True asks for a step-up'),
  })
  .refine((body) => Object.keys(body).length > 0, { message: 'must name a field to change' })
  .meta({ id: 'ChangeDevice' });

export const devicesAnswer = z
  .object({
    devices: z.array(
      z.object({
        device_id: z.string().describe('As `device_fingerprint` of its sessions'),
        name: z.string().nullable(),
        trusted: z.boolean().describe('Spares its owner the PIN; never a second factor'),
        first_seen_at: z.string(),
        last_seen_at: z.string(),
        sessions: z.int().describe('Sessions that go on'),
        current: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'Devices' });

export const deviceRemovedAnswer = z
  .object({ message: z.string(), sessions_revoked: z.int() })
  .meta({ id: 'DeviceRemoved' });

export const devicesContract = (listed: Device[], current: string | null): z.infer<typeof devicesAnswer> => ({
  devices: listed.map((d) => ({
    device_id: shownId(d.deviceId),
    name: d.name,
    trusted: d.trusted,
    first_seen_at: d.firstSeenAt.toISOString(),
    last_seen_at: d.lastSeenAt.toISOString(),
    sessions: d.sessions.length,
    current: d.deviceId === current,
  })),
});
