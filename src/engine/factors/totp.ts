/** Time-based codes (RFC 6238): the current step and the one before it, never one to come; a used step is gone for good. */
import { generateSecret, generateURI, verify } from 'otplib';
import { renderSVG } from 'uqr';
import type { FactorKind } from './kind.ts';

export const newSecret = (): string => generateSecret({ length: 20 });

/** What an authenticator app reads, as a URI and as a picture of it. */
export function enrolment(of: { secret: string; issuer: string; account: string; stepS: number }) {
  const uri = generateURI({
    issuer: of.issuer,
    label: of.account,
    secret: of.secret,
    period: of.stepS,
  });
  const svg = renderSVG(uri, { border: 4 });
  return { uri, picture: `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}` };
}

/** The step whose code this is, when it may still be used; null otherwise. `now` in milliseconds. */
export async function matchingStep(of: {
  secret: string;
  code: string;
  now: number;
  stepS: number;
  lastStep: number | null;
}): Promise<number | null> {
  const epoch = Math.floor(of.now / 1000);
  const result = await verify({
    secret: of.secret,
    token: of.code,
    epoch,
    period: of.stepS,
    // Past and future apart: a plain number would take the step to come as well.
    epochTolerance: [of.stepS, 0],
  });
  if (!result.valid || !('timeStep' in result)) return null;
  // The library's own replay check throws when the clock went back; what is used is decided by the commit.
  return of.lastStep !== null && result.timeStep <= of.lastStep ? null : result.timeStep;
}

export const totp: FactorKind = {
  kind: 'totp',
  level: 'second',
  amr: ['otp'],
  form: 'digits',
  async check(factor, code, now, open) {
    const stepS = Number(factor.details.stepS);
    const secret = await open(factor);
    const step = await matchingStep({ secret, code, now, stepS, lastStep: factor.lastStep });
    return step === null ? null : { factorId: factor.id, step };
  },
};
