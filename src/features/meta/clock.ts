/** The demo's clock: moved forward, so that expiry and other timers can be seen. Registered in demo mode only. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { problemsFor } from '../../http/flow-answers.ts';
import type { Services } from '../../http/services.ts';

const MAX_ADVANCE_S = 90 * 86_400;

const body = z
  .strictObject({ advance_seconds: z.int().min(1).max(MAX_ADVANCE_S) })
  .meta({ id: 'AdvanceClock' });
const answer = z
  .object({ now: z.string(), offset_seconds: z.number().describe('How far ahead of the system clock') })
  .meta({ id: 'Clock' });

export const clockRoutes =
  ({ clock }: Pick<Services, 'clock'>): FastifyPluginAsyncZod =>
  async (app) => {
    const reading = (): z.infer<typeof answer> => ({
      now: new Date(clock.now()).toISOString(),
      offset_seconds: Math.round(clock.offset() / 1000),
    });
    const tags = ['Development'];

    app.get(
      '/dev/clock',
      {
        schema: {
          summary: 'What time this process takes it to be',
          tags,
          security: [],
          response: { 200: answer },
        },
      },
      async () => reading(),
    );

    app.post(
      '/dev/clock',
      {
        schema: {
          summary: 'Move the clock of this process forward; what is due by then happens within a second',
          tags,
          security: [],
          body,
          response: { 200: answer, ...problemsFor(400) },
        },
      },
      async (request) => {
        clock.advance(request.body.advance_seconds * 1000);
        return reading();
      },
    );
  };
