/** What a request says about its caller: for the record and for limits, never a proof of anything. */
import type { FastifyRequest } from 'fastify';
import type { SendContext } from '../engine/engine.ts';
import { uuidv7 } from '../kernel/crypto/uuid7.ts';
import { type Phone, type PhoneOptions, parsePhone } from '../kernel/identifiers/index.ts';
import { acceptedLanguage } from '../kernel/languages.ts';
import { Problem } from '../kernel/problems.ts';
import type { Offer } from './actions.ts';
import { networkOf } from './limits/network.ts';
import type { Services } from './services.ts';

export type Caller = SendContext & { network: string };

const MAX_USER_AGENT = 256;

/** One clock reading per request; `deviceId` is stored and compared as a keyed hash only. */
export function callerOf(
  request: FastifyRequest,
  { clock, keyring, config, languages }: Pick<Services, 'clock' | 'keyring' | 'config' | 'languages'>,
  options: { deviceId?: string | undefined; actor?: SendContext['envelope']['actor'] } = {},
): Caller {
  const network = networkOf(request.ip);
  const userAgent =
    request.headers['user-agent']?.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_USER_AGENT) ?? null;
  return {
    now: clock.now(),
    network,
    // Scopes older than the plugin lack the member.
    idempotency: request.idempotency ?? null,
    deviceId: options.deviceId ? keyring.lookupHash('device', options.deviceId) : null,
    envelope: {
      actor: options.actor ?? 'client',
      requestId: request.id,
      network,
      userAgent,
      country: countryOf(request, config.countryHeader),
      language: acceptedLanguage(request.headers['accept-language'], languages),
    },
  };
}

/** Node keeps the first of several headers of a name; a proxy before us may have judged another one. `name`: lower case. */
export const repeats = ({ rawHeaders = [] }: { rawHeaders?: string[] }, name: string): boolean =>
  rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === name).length > 1;

/** As a proxy of ours says, which shows in that it forwarded an address; what a caller says about itself is nothing. */
function countryOf(request: FastifyRequest, header: string | null): string | null {
  if (header === null || request.ip === request.socket.remoteAddress) return null;
  const country = request.headers[header];
  // XX and T1 stand for unknown and Tor where this header comes from.
  return typeof country === 'string' && /^(?!XX)[A-Z]{2}$/.test(country) ? country : null;
}

/** The token after `Bearer `, or null without the header. @throws Problem unauthenticated for any other scheme. */
export function bearerOf(request: FastifyRequest): string | null {
  const header = request.headers.authorization;
  if (header === undefined) return null;
  if (repeats(request.raw, 'authorization')) throw new Problem('invalid_token');
  // The scheme is a word in any case, then one or more blanks (RFC 9110 section 11.4).
  const match = /^Bearer {1,8}([A-Za-z0-9._~+/=-]{1,4096})$/i.exec(header);
  if (!match?.[1]) throw new Problem('invalid_token');
  return match[1];
}

/** The flow token from the header or the body; both at once must agree. */
export function flowTokenOf(request: FastifyRequest, fromBody?: string | undefined): string | null {
  const header = bearerOf(request);
  if (header !== null && fromBody !== undefined && header !== fromBody)
    throw new Problem('invalid_flow_token');
  return header ?? fromBody ?? null;
}

/** What an answer to this request lists its next actions with. */
export const offerOf = ({ actions }: Pick<Services, 'actions'>, { now }: Pick<Caller, 'now'>): Offer => ({
  actions,
  now,
});

/** Ids for rows a request may cause, minted before the transaction. */
export const mint = (): string => uuidv7();

/** Reads phone numbers the way this deployment accepts them. */
export const phoneReader =
  ({ defaultCountry, demo, phoneCountries }: Services['config']) =>
  (text: string): Phone => {
    const phone = parsePhone(text, {
      defaultCountry: defaultCountry as PhoneOptions['defaultCountry'],
      demo,
    });
    const served =
      phoneCountries === null || (phone.country !== null && phoneCountries.includes(phone.country));
    if (!served) {
      throw new Problem('validation_failed', {
        errors: [
          { pointer: '/body/phone', code: 'country_not_served', message: 'is in a country not served here' },
        ],
      });
    }
    return phone;
  };
