import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RiskSubject } from '../../src/adapters/ports.ts';
import { isReservedPhone, RESERVED_PHONES, reservedOutcome } from '../../src/adapters/reserved.ts';
import { createHttpRisk } from '../../src/adapters/risk-http.ts';
import {
  ageOn,
  createLocalRisk,
  DEFAULT_RISK_RULES,
  evaluateRisk,
  identifierFacts,
  type RiskFacts,
} from '../../src/adapters/risk-local.ts';
import { answer, recordingServer } from './recording-server.ts';

const fine: RiskFacts = { age: 30, codeRetries: 0, identifierBlocked: false };

describe('the local rules', () => {
  test.each<[string, Partial<RiskFacts>, string, string[]]>([
    ['an adult', {}, 'ALLOW', []],
    ['17 years', { age: 17 }, 'BLOCK', ['underage']],
    ['18 years', { age: 18 }, 'ALLOW', []],
    ['a birth date to come', { age: -1 }, 'BLOCK', ['underage']],
    ['no birth date', { age: null }, 'REVIEW', ['birth_date_missing']],
    ['5 retries', { codeRetries: 5 }, 'ALLOW', []],
    ['6 retries', { codeRetries: 6 }, 'REVIEW', ['code_retries']],
    ['a blocked identifier', { identifierBlocked: true }, 'BLOCK', ['identifier_blocked']],
    ['a flagged identifier', { identifierFlagged: true }, 'REVIEW', ['identifier_flagged']],
    ['17 years and 6 retries', { age: 17, codeRetries: 6 }, 'BLOCK', ['underage', 'code_retries']],
    [
      'everything at once',
      { age: null, codeRetries: 9, identifierBlocked: true, identifierFlagged: true },
      'BLOCK',
      ['identifier_blocked', 'birth_date_missing', 'code_retries', 'identifier_flagged'],
    ],
  ])('%s', (_name, facts, decision, reasons) => {
    expect(evaluateRisk({ ...fine, ...facts })).toEqual({ decision, reasons });
  });

  test('no fact ever makes a worse verdict better', () => {
    const severity = { ALLOW: 0, REVIEW: 1, BLOCK: 2 };
    const worse: Partial<RiskFacts>[] = [
      { age: 17 },
      { age: null },
      { codeRetries: 6 },
      { identifierBlocked: true },
      { identifierFlagged: true },
    ];
    const rank = (facts: RiskFacts) => severity[evaluateRisk(facts).decision];
    for (const a of worse) {
      for (const b of worse.filter((other) => Object.keys(other)[0] !== Object.keys(a)[0])) {
        const both = rank({ ...fine, ...a, ...b });
        expect(both).toBe(Math.max(rank({ ...fine, ...a }), rank({ ...fine, ...b })));
      }
    }
  });

  test('thresholds and prefixes are settings', () => {
    const rules = { ...DEFAULT_RISK_RULES, minimumAge: 21, maxCodeRetries: 1, blockedPrefixes: ['+99'] };
    expect(evaluateRisk({ ...fine, age: 20 }, rules).decision).toBe('BLOCK');
    expect(evaluateRisk({ ...fine, codeRetries: 2 }, rules).decision).toBe('REVIEW');
    expect(identifierFacts('+9912345678', rules).blocked).toBe(true);
    expect(identifierFacts('+1555555066', rules).blocked).toBe(false);
  });

  test('the reserved prefix is blocked by default; reserved numbers mean something in the demo only', () => {
    expect(identifierFacts('+15555550661').blocked).toBe(true);
    expect(identifierFacts('+15555555555')).toEqual({ blocked: false, flagged: false });
    expect(identifierFacts(null)).toEqual({ blocked: false, flagged: false });
    const demo = { ...DEFAULT_RISK_RULES, reservedNumbers: true };
    expect(identifierFacts('+15555550104', demo)).toEqual({ blocked: false, flagged: true });
    expect(identifierFacts('+15555550105', demo)).toEqual({ blocked: true, flagged: false });
    expect(identifierFacts('+15555550104')).toEqual({ blocked: false, flagged: false });
    expect(identifierFacts('+15555550105')).toEqual({ blocked: false, flagged: false });
  });
});

describe('an age', () => {
  const at = (iso: string) => Date.parse(iso);

  test.each([
    ['2000-06-15', '2018-06-14T23:59:59.999Z', 17],
    ['2000-06-15', '2018-06-15T00:00:00.000Z', 18],
    ['2000-02-29', '2018-02-28T23:59:59.999Z', 17],
    ['2000-02-29', '2018-03-01T00:00:00.000Z', 18],
    ['2000-02-29', '2020-02-28T12:00:00.000Z', 19],
    ['2000-02-29', '2020-02-29T00:00:00.000Z', 20],
    ['2000-03-01', '2018-02-28T12:00:00.000Z', 17],
    ['2000-12-31', '2018-12-30T12:00:00.000Z', 17],
    ['2000-01-01', '2018-01-01T00:00:00.000Z', 18],
    ['1968-06-15', '1969-06-15T00:00:00.000Z', 1],
    ['2030-01-01', '2029-12-31T00:00:00.000Z', -1],
  ])('of %s on %s is %i', (birthDate, now, age) => {
    expect(ageOn(birthDate, at(now))).toBe(age);
  });

  test.each([null, '', '2000-02-30', '1999-02-29', '2000-13-01', '2000-00-10', '15/06/2000', '2000-6-15'])(
    'of %j is unknown',
    (birthDate) => {
      expect(ageOn(birthDate, at('2018-06-15T00:00:00Z'))).toBeNull();
    },
  );
});

const subject: RiskSubject = {
  id: 'outbox-1',
  flowId: 'flow-1',
  stage: 'signup',
  country: 'IN',
  birthDate: '2000-06-15',
  codeRetries: 2,
  identifier: { blocked: false, flagged: false },
};
const now = () => Date.parse('2018-06-14T00:00:00Z');

test('the local provider applies the rules to its subject', async () => {
  const risk = createLocalRisk({ now });
  expect(await risk.evaluate(subject)).toEqual({ decision: 'BLOCK', reasons: ['underage'] });
  expect(await risk.evaluate({ ...subject, birthDate: null })).toMatchObject({ decision: 'REVIEW' });
  const identifier = { blocked: true, flagged: false };
  expect(await risk.evaluate({ ...subject, birthDate: '1980-01-01', identifier })).toEqual({
    decision: 'BLOCK',
    reasons: ['identifier_blocked'],
  });
});

describe('the HTTP provider', () => {
  let server: Awaited<ReturnType<typeof recordingServer>>;
  const risk = (timeoutMs = 5_000) =>
    createHttpRisk({ url: `${server.url}/evaluate`, apiKey: 'key', now, http: { timeoutMs } });

  beforeAll(async () => {
    server = await recordingServer(answer(200));
  });
  beforeEach(() => {
    server.requests.length = 0;
  });
  afterAll(() => server.close());

  test('posts facts, byte for byte, with an age in place of the birth date', async () => {
    server.reply = answer(200, '{"decision":"REVIEW","reasons":["velocity"]}');
    expect(await risk().evaluate(subject)).toEqual({ decision: 'REVIEW', reasons: ['velocity'] });
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/evaluate',
      body:
        '{"id":"outbox-1","flow_id":"flow-1","stage":"signup","country":"IN","age":17,' +
        '"code_retries":2,"identifier_blocked":false,"identifier_flagged":false}',
    });
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer key',
      'content-type': 'application/json',
    });
  });

  test.each([
    '',
    'ALLOW',
    '{}',
    'null',
    '{"decision":"allow","reasons":[]}',
    '{"decision":"ALLOW"}',
    '{"decision":"ALLOW","reasons":[],"score":1}',
    '{"decision":"ALLOW","reasons":["Free text about a person"]}',
  ])('takes %j for a failure, not for a verdict', async (body) => {
    server.reply = answer(200, body);
    await expect(risk().evaluate(subject)).rejects.toMatchObject({ name: 'DeliveryError', retry: false });
  });

  test('a provider that fails or stays silent gives no verdict', async () => {
    server.reply = answer(500, '{"decision":"ALLOW","reasons":[]}');
    await expect(risk().evaluate(subject)).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
    server.reply = answer(404, '{"decision":"ALLOW","reasons":[]}');
    await expect(risk().evaluate(subject)).rejects.toMatchObject({ name: 'DeliveryError', retry: false });
    server.reply = () => {};
    await expect(risk(80).evaluate(subject)).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
  });
});

describe('reserved phone numbers', () => {
  test('stand for one outcome each and are all reserved', () => {
    expect(Object.values(RESERVED_PHONES).sort()).toEqual([
      'code_expired',
      'code_locked',
      'delivery_failed',
      'risk_blocked',
      'risk_review',
    ]);
    for (const phone of Object.keys(RESERVED_PHONES)) expect(isReservedPhone(phone)).toBe(true);
    expect(reservedOutcome('+15555550102')).toBe('code_locked');
    expect(reservedOutcome('+15555555555')).toBeNull();
    expect(reservedOutcome('constructor')).toBeNull();
  });

  test.each([
    ['+15555550000', true],
    ['+15555559999', true],
    ['+12025550123', true],
    ['+12025550199', true],
    ['+12025550200', false],
    ['+12025551234', false],
    ['+1555555000', false],
    ['+155555500000', false],
    ['15555550000', false],
    ['+15555550000\n', false],
    ['+919876543210', false],
  ])('%j is reserved: %s', (phone, reserved) => {
    expect(isReservedPhone(phone)).toBe(reserved);
  });
});
