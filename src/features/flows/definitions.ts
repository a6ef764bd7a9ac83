/** The machines themselves, for people and clients: definitions, pictures, "what if". Documentation; it touches no flow. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type MachineId, registry } from '../../../machines/index.ts';
import { DIAGRAMS } from '../../diagrams/inline.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  definitionAnswer,
  definitionList,
  describeDefinition,
  listOfDefinitions,
  simulateBody,
  simulation,
  simulationContract,
} from './definitions-contract.ts';
import { simulate } from './simulate.ts';

const CACHE = 'public, max-age=300';
const MAX_QUESTION_BYTES = 8192;
/** A picture may style itself and nothing else, also when it is opened as a page. */
const PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const params = z.strictObject({ machine: z.enum(Object.keys(registry) as [MachineId, ...MachineId[]]) });

export const definitionRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    // Not left out but not there: otherwise `definitions` would be taken for the id of a flow.
    if (!s.config.docs.enabled) {
      app.addHook('onRequest', async () => {
        throw new Problem('not_found');
      });
    }
    const tags = ['Flows'];
    const url = '/v1/flows/definitions';
    const unknown = { attachValidation: true } as const;
    /** A machine that does not exist is not there, rather than a mistake in the request. */
    const known = (request: { validationError?: unknown; params: { machine: MachineId } }): MachineId => {
      if (!Object.hasOwn(registry, request.params.machine)) throw new Problem('not_found');
      if (request.validationError) throw request.validationError;
      return request.params.machine;
    };

    app.get(
      url,
      {
        schema: {
          summary: 'The state machines there are',
          tags,
          security: [],
          response: { 200: definitionList },
        },
      },
      async (_request, reply) => {
        reply.header('cache-control', CACHE);
        return listOfDefinitions();
      },
    );

    app.get(
      `${url}/:machine`,
      {
        ...unknown,
        schema: {
          summary: 'States and transitions of a machine',
          tags,
          security: [],
          params,
          response: { 200: definitionAnswer, ...problemsFor(404) },
        },
      },
      async (request, reply) => {
        reply.header('cache-control', CACHE);
        return describeDefinition(known(request));
      },
    );

    app.get(
      `${url}/:machine/diagram`,
      {
        ...unknown,
        schema: {
          summary: 'Picture of a machine, as SVG',
          tags,
          security: [],
          params,
          querystring: z.strictObject({ theme: z.enum(['light', 'dark']).default('light') }),
          response: { 200: z.string().describe('image/svg+xml'), ...problemsFor(400, 404) },
        },
      },
      async (request, reply) => {
        const file = join(DIAGRAMS, `${known(request)}.${request.query.theme}.svg`);
        const svg = await readFile(file, 'utf8').catch(() => {
          throw new Problem('not_found');
        });
        reply
          .headers({ 'cache-control': CACHE, 'content-security-policy': PICTURE_POLICY })
          .type('image/svg+xml; charset=utf-8')
          .serializer((text: unknown) => String(text));
        return svg;
      },
    );

    app.post(
      `${url}/:machine/simulate`,
      {
        ...unknown,
        bodyLimit: MAX_QUESTION_BYTES,
        schema: {
          summary: 'What a machine would do with an event, and why it would not; nothing is stored',
          tags,
          security: [],
          params,
          body: simulateBody,
          response: { 200: simulation, ...problemsFor(400, 404) },
        },
      },
      async (request) => {
        const machine = known(request);
        const { event } = request.body;
        return simulationContract(machine, event.type, simulate(machine, request.body, s.clock.now()));
      },
    );
  };
