/** When a client should ask again while a provider or a reviewer decides: seconds for the body, and the same in Retry-After. */
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { FlowView } from '../engine/snapshots.ts';

/** A program answers within seconds, a person within hours. */
const SECONDS: Record<string, number> = {
  'UNVERIFIED.risk_pending': 5,
  'UNVERIFIED.risk_review': 300,
  'LIMITED.kyc_submitted': 5,
  'LIMITED.kyc_risk_pending': 5,
  'LIMITED.kyc_review': 300,
};

export const pollField = z
  .int()
  .nullable()
  .describe('Seconds after which to ask again while a decision is awaited, also in Retry-After; else null');

/** Null when the flow waits for no decision of others. */
export const pollAfter = ({ state }: Pick<FlowView, 'state'>): number | null => SECONDS[state] ?? null;

/** The same for clients that look at headers only. */
export function sayWhenToAsk(reply: FastifyReply, view: Pick<FlowView, 'state'>): void {
  const seconds = pollAfter(view);
  if (seconds !== null) reply.header('retry-after', String(seconds));
}
