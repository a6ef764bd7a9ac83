/** Addresses that belong together share a bucket, however they are written. */
import { describe, expect, it } from 'vitest';
import { networkOf, siteOf } from '../../src/http/limits/network.ts';

describe('networkOf', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:255.255.255.255', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::ffff:203.0.113.7%1', '203.0.113.7'],
  ])('puts %s into %s', (ip, network) => {
    expect(networkOf(ip)).toBe(network);
  });

  it.each([
    '',
    'unknown',
    '203.0.113',
    '203.0.113.07',
    '1.2.3.4:80',
    '[::1]',
    ':::1',
    '1::2::3',
    ' 1.2.3.4',
    'a%b',
  ])('puts the unreadable %j into one bucket instead of none', (ip) => {
    expect(networkOf(ip)).toBe('invalid');
  });

  it('does not fail on a missing address', () => {
    expect([networkOf(undefined), networkOf(null)]).toEqual(['invalid', 'invalid']);
  });
});

describe('siteOf', () => {
  it('gives two networks of one /48 the same site', () => {
    expect(siteOf(networkOf('2001:db8:1:2::1'))).toBe('2001:db8:1::/48');
    expect(siteOf(networkOf('2001:db8:1:9::1'))).toBe('2001:db8:1::/48');
    expect(siteOf(networkOf('2001:db8:2:2::1'))).toBe('2001:db8:2::/48');
  });

  it('has no site for IPv4 and unreadable addresses', () => {
    expect([siteOf('203.0.113.7'), siteOf('invalid')]).toEqual([null, null]);
  });
});
