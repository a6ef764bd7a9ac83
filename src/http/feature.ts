/** What a slice gives the service: its routes, and what it does besides them. A slice exports one such value. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { TopicHandler } from '../engine/delivery.ts';
import type { Identity } from './request-identity.ts';
import type { Services } from './services.ts';

/** A credential of a slice's own that tells who repeats a request with an idempotency key. */
export type CredentialReader = {
  /** Name of the security scheme that the routes document. */
  scheme: string;
  /** The credential the request carries, if it does. */
  read(request: FastifyRequest): string | undefined;
  /** Who is behind it; null when it is not in force. */
  identityOf(credential: string): Promise<Identity | null>;
};

export type Feature = {
  /** Name of the slice's folder. */
  name: string;
  /** Registering asks nothing of a store: only handlers may. */
  routes?(services: Services, version: string): FastifyPluginAsync;
  /** What the relay does with an outbox row, by topic. */
  deliveries?(services: Services): Record<string, TopicHandler>;
  credentials?(services: Services): CredentialReader[];
};
