/** What an access token says (RFC 9068 section 2.2). It never identifies the person: no e-mail, phone or name. */
import { z } from 'zod';

export const TIERS = ['LIMITED', 'FULL'] as const;
export type Tier = (typeof TIERS)[number];

const seconds = z.int().nonnegative();

/** Exact values for one issuer; unknown claims are dropped, missing or differently typed ones are refused. */
export function claimsSchema({
  issuer,
  audience,
  clientId,
}: {
  issuer: string;
  audience: string;
  clientId: string;
}) {
  return z
    .object({
      iss: z.literal(issuer),
      sub: z.string().regex(/^user:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      aud: z.enum([audienceFor(audience, 'LIMITED'), audienceFor(audience, 'FULL')]),
      client_id: z.literal(clientId),
      exp: seconds,
      iat: seconds,
      nbf: seconds,
      jti: z.uuid(),
      sid: z.uuid(),
      acr: z.string(),
      amr: z.array(z.string()).readonly(),
      auth_time: seconds,
      tier: z.enum(TIERS),
      scope: z.string(),
      roles: z.array(z.string()).readonly(),
      mfa: z.boolean(),
      ver: z.literal(1),
    })
    .refine(({ aud, tier }) => aud === audienceFor(audience, tier))
    .readonly();
}

export type Claims = z.infer<ReturnType<typeof claimsSchema>>;

/** A service that accepts only FULL accounts checks for the plain audience and so refuses LIMITED ones by itself. */
export const audienceFor = (audience: string, tier: Tier): string =>
  tier === 'FULL' ? audience : `${audience}:limited`;
