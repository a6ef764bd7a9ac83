/** What a slice gives the service: its routes, and what it does besides them. A slice exports one such value. */
import type { FastifyPluginAsync } from 'fastify';
import type { TopicHandler } from '../engine/delivery.ts';
import type { OwnEffects } from '../engine/effects.ts';
import type { CredentialReader } from './request-identity.ts';
import type { Services } from './services.ts';

export type Feature = {
  /** Name of the slice's folder. */
  name: string;
  /** Registering asks nothing of a store: only handlers may. */
  routes?(services: Services, version: string): FastifyPluginAsync;
  /** Handlers of effects that a machine declares as its own: rows of the commit, nothing else. */
  effects?: OwnEffects;
  /** What the relay does with an outbox row, by topic. */
  deliveries?(services: Services): Record<string, TopicHandler>;
  credentials?(services: Services): CredentialReader[];
};
