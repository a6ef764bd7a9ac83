/** Devices of one's own account. Trust spares the PIN that a risk asks for, and nothing else. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import * as devices from '../../../db/devices.ts';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { requireStepUp } from '../../http/step-up.ts';
import { Problem } from '../../kernel/problems.ts';
import { shownId } from '../sessions/contract.ts';
import {
  changeDeviceBody,
  deviceParams,
  deviceRemovedAnswer,
  devicesAnswer,
  devicesContract,
} from './contract.ts';

export const deviceRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const secured = { tags: ['Sessions'], security: [{ bearerAuth: [] }] };
    const named = async (accountId: string, id: string) => {
      const device = (await s.devices.list(accountId)).find(({ deviceId }) => shownId(deviceId) === id);
      if (!device) throw new Problem('not_found');
      return device;
    };

    app.get(
      '/v1/auth/devices',
      {
        schema: {
          summary: 'Devices this account has logged in from',
          ...secured,
          response: { 200: devicesAnswer, ...problemsFor(401, 429, 503) },
        },
      },
      async (request) => {
        const { account, session } = await authenticate(request, s);
        return devicesContract(await s.devices.list(account.id), session.deviceId);
      },
    );

    app.patch(
      '/v1/auth/devices/:device_id',
      {
        schema: {
          summary: 'Name a device, or say whether it is trusted',
          ...secured,
          params: deviceParams,
          body: changeDeviceBody,
          response: { 200: devicesAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const { account, session } = live;
        const caller = callerOf(request, s);
        const device = await named(account.id, request.params.device_id);
        const { name = device.name, trusted = device.trusted } = request.body;
        if (trusted && !device.trusted) await requireStepUp(s, live, {}, caller);
        await s.commitAccount(
          {
            account,
            parts: [devices.change(account.id, device.deviceId, { name, trusted })],
            event: { type: 'device.changed', sessionId: session.id },
          },
          caller,
        );
        return devicesContract(await s.devices.list(account.id), session.deviceId);
      },
    );

    app.delete(
      '/v1/auth/devices/:device_id',
      {
        schema: {
          summary: 'Forget a device: its sessions end, and a login from it is one from an unknown device',
          ...secured,
          params: deviceParams,
          response: { 200: deviceRemovedAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const { account } = await authenticate(request, s);
        const caller = callerOf(request, s);
        const device = await named(account.id, request.params.device_id);
        let ended = 0;
        // Its sessions first: whoever repeats this after a failure still finds the device.
        for (const sessionId of device.sessions) {
          const asked = {
            accountId: account.id,
            sessionId,
            which: 'this' as const,
            reason: 'removed' as const,
          };
          ended += (await s.sessionEnds.end(asked, caller)).length;
        }
        const { eventSeq } = await s.factorRows.ofAccount(account.id, new Date(caller.now));
        await s.commitAccount(
          {
            account: { id: account.id, eventSeq },
            parts: [devices.remove(account.id, device.deviceId)],
            event: { type: 'device.removed' },
          },
          caller,
        );
        return { message: 'The device is forgotten and its sessions have ended.', sessions_revoked: ended };
      },
    );
  };
