/** The HTTP surface in the order requests meet it: headers, problems, origins, bodies, limits, idempotency, routes. */
import cookie from '@fastify/cookie';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { Config } from '../config/index.ts';
import { consolePlugin } from '../console/index.ts';
import { inspectorBridge } from '../console/inspector/plugin.ts';
import cors from '../http/cors.ts';
import docs from '../http/docs.ts';
import { readForwarded } from '../http/forwarded.ts';
import idempotency from '../http/idempotency.ts';
import { loggerOf, RequestLog } from '../http/log.ts';
import networkLimit from '../http/network-limit.ts';
import openapi from '../http/openapi.ts';
import { outageProblem } from '../http/outage.ts';
import problems from '../http/problems.ts';
import { createIdentify } from '../http/request-identity.ts';
import securityHeaders from '../http/security-headers.ts';
import { serverLimits } from '../http/server-limits.ts';
import type { Services } from '../http/services.ts';
import strictJson from '../http/strict-json.ts';
import strictRequest from '../http/strict-request.ts';
import { rememberText } from '../kernel/crypto/remembered-hash.ts';
import { credentials, routes } from './features.ts';
import type { Watchers } from './lifecycles.ts';
import type { Crypto } from './secrets.ts';
import type { Stores } from './stores.ts';

const flagsOf = (config: Config) => ({ https: config.publicUrl.startsWith('https:'), demo: config.demo });

/** A server that bounds every connection and logs one line per request; nothing is registered yet. */
export const createServer = (config: Config, logStream?: { write(line: string): void }): FastifyInstance =>
  Fastify({
    ...serverLimits({ trustProxy: config.trustProxy, ...flagsOf(config) }),
    logger: loggerOf(config, logStream),
    logController: new RequestLog(),
  });

export async function registerHttp(
  server: FastifyInstance,
  services: Services,
  parts: { stores: Stores; crypto: Crypto; watchers: Watchers; version: string },
): Promise<void> {
  const { config, clock, limits, keyring } = services;
  const { stores, crypto, watchers, version } = parts;
  const { feed, inspector } = watchers;
  server.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  if (config.trustProxy.length > 0) readForwarded(server);
  await server.register(securityHeaders, flagsOf(config));
  await server.register(openapi, { version });
  await server.register(problems, { classify: outageProblem });
  await server.register(strictRequest);
  await server.register(cors, config.cors);
  await server.register(cookie);
  await server.register(strictJson);
  await server.register(networkLimit, {
    window: config.limits.network,
    // Addresses come again and again; phone numbers and e-mail addresses are not kept in memory.
    hashKey: rememberText(crypto.limitKey),
    reports: limits.reports,
    redis: stores.redis,
  });
  const key = keyring.key('idempotency');
  const identify = createIdentify(services, credentials(services));
  const ttlMs = config.retention.idempotencyHours * 3_600_000;
  await server.register(idempotency, {
    store: stores.idempotency,
    identify,
    kms: crypto.ownKms,
    key,
    clock,
    ttlMs,
  });
  if (config.docs.enabled) await server.register(docs);
  await server.register(routes(services, version));
  if (feed) await server.register(consolePlugin(services, feed, stores.flowStats));
  if (inspector) await server.register(inspectorBridge(inspector, config.console.inspectUrl));
}
