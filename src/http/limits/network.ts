/** Which bucket an address falls in: one per household, however the address is written. Must never throw. */
import { isIPv4, isIPv6 } from 'node:net';

/** Everything unreadable shares one bucket: an unknown caller is never an unlimited caller. */
const INVALID_NETWORK = 'invalid';

/**
 * IPv4 as itself, IPv6 as its canonical /64 (RFC 5952 hextets, uncompressed), IPv4-mapped IPv6 (RFC 4291 2.5.5.2)
 * as the IPv4 address inside, zone ids (RFC 4007) dropped, anything else as `invalid`.
 */
export function networkOf(ip: string | undefined | null): string {
  if (typeof ip !== 'string') return INVALID_NETWORK;
  if (isIPv4(ip)) return ip;
  if (!isIPv6(ip)) return INVALID_NETWORK;
  const groups = hextets(ip.split('%', 1)[0]!);
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return mapped ? dotted(groups[6]!, groups[7]!) : `${hex(groups.slice(0, 4))}::/64`;
}

/** The /48 an IPv6 network belongs to, which is limited at ten times its /64; null for IPv4 and `invalid`. */
export function siteOf(network: string): string | null {
  if (!network.endsWith('::/64')) return null;
  return `${network.slice(0, -5).split(':').slice(0, 3).join(':')}::/48`;
}

/** Only called with text that `isIPv6` accepted. */
function hextets(address: string): number[] {
  const [head = '', tail] = address.split('::', 2);
  const left = parts(head);
  if (tail === undefined) return left;
  const right = parts(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function parts(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

const hex = (groups: number[]) => groups.map((group) => group.toString(16)).join(':');

const dotted = (high: number, low: number) => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
