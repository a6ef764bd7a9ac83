import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createHttpKyc } from '../../src/adapters/kyc-http.ts';
import { createLocalKyc } from '../../src/adapters/kyc-local.ts';
import { kycVerdictSchema, toKycVerdict } from '../../src/adapters/kyc-verdict.ts';
import { KYC_DOCUMENTS, type KycDocument } from '../../src/adapters/ports.ts';
import { RESERVED_DOCUMENTS, type ReservedKycOutcome } from '../../src/adapters/reserved.ts';
import { verifyWebhook } from '../../src/adapters/webhook-signature.ts';
import { answer, recordingServer } from './recording-server.ts';

const submission = (documentType: KycDocument, documentNumber: string) => ({
  id: 'outbox-1',
  applicantId: 'applicant-1',
  documentType,
  documentNumber,
});
const reserved = (type: KycDocument, outcome: ReservedKycOutcome): string => {
  const found = Object.entries(RESERVED_DOCUMENTS[type]).find(([, o]) => o === outcome);
  if (!found) throw new Error(`${type} has no number for ${outcome}`);
  return found[0];
};

describe.each(KYC_DOCUMENTS)('the local provider, given a %s', (type) => {
  const kyc = createLocalKyc();
  const decide = (outcome: ReservedKycOutcome) => kyc.submit(submission(type, reserved(type, outcome)));

  test('approves any number that is not reserved', async () => {
    expect(await kyc.submit(submission(type, 'ABCPE1234F'))).toEqual({
      eventId: 'local:outbox-1',
      applicantId: 'applicant-1',
      sequence: 1,
      decision: 'APPROVED',
      retryable: false,
      reason: null,
    });
  });

  test('rejects, reviews and fails by the reserved numbers', async () => {
    expect(await decide('rejected_retry')).toMatchObject({ decision: 'REJECTED', retryable: true });
    expect(await decide('rejected_final')).toMatchObject({ decision: 'REJECTED', retryable: false });
    expect(await decide('review')).toMatchObject({ decision: 'REVIEW', retryable: false });
    await expect(decide('provider_down')).rejects.toMatchObject({ name: 'DeliveryError', retry: true });
  });

  test('reads a reserved number as people type it', async () => {
    const typed = reserved(type, 'rejected_final')
      .toLowerCase()
      .replace(/(.{4})/g, '$1 ');
    expect(await kyc.submit(submission(type, typed))).toMatchObject({ decision: 'REJECTED' });
  });
});

test('reserved numbers have the format of their document', () => {
  const formats = { PAN: /^[A-Z]{3}P[A-Z]\d{4}[A-Z]$/, AADHAAR: /^[2-9]\d{11}$/, PASSPORT: /^[A-Z]\d{7}$/ };
  for (const type of KYC_DOCUMENTS) {
    const numbers = Object.keys(RESERVED_DOCUMENTS[type]);
    expect(numbers).toHaveLength(4);
    for (const number of numbers) expect(number).toMatch(formats[type]);
  }
});

describe('the HTTP provider', () => {
  const secret = 'kyc-key-0123456789-0123456789-abc';
  let server: Awaited<ReturnType<typeof recordingServer>>;
  const kyc = () => createHttpKyc({ url: `${server.url}/checks`, secret, now: () => 1_750_000_000_999 });

  beforeAll(async () => {
    server = await recordingServer(answer(202));
  });
  beforeEach(() => {
    server.requests.length = 0;
    server.reply = answer(202);
  });
  afterAll(() => server.close());

  test('posts the submission, byte for byte, signed for its second', async () => {
    expect(await kyc().submit(submission('PAN', 'ABCPE1234F'))).toBeNull();
    expect(server.requests).toHaveLength(1);
    const [request] = server.requests;
    expect(request).toMatchObject({
      method: 'POST',
      path: '/checks',
      body: '{"applicant_id":"applicant-1","document_type":"PAN","document_number":"ABCPE1234F"}',
    });
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-vestibule-id': 'outbox-1',
      'x-vestibule-timestamp': '1750000000',
    });
    const received = {
      timestamp: request?.headers['x-vestibule-timestamp'],
      signature: request?.headers['x-vestibule-signature'],
      rawBody: request?.body ?? '',
      nowMs: 1_750_000_001_000,
    };
    expect(verifyWebhook({ ...received, secrets: [secret] })).toBe(true);
    expect(verifyWebhook({ ...received, secrets: ['another-key-0123456789-0123456789'] })).toBe(false);
  });

  test.each([
    [503, true],
    [429, true],
    [400, false],
    [302, false],
  ])('%i is retryable: %s', async (status, retry) => {
    server.reply = answer(status, '', { location: '/elsewhere' });
    await expect(kyc().submit(submission('PAN', 'ABCPE1234F'))).rejects.toMatchObject({
      name: 'DeliveryError',
      retry,
    });
    expect(server.requests).toHaveLength(1);
  });

  test('refuses an address in the clear and a weak secret', () => {
    const now = () => 0;
    expect(() => createHttpKyc({ url: 'http://kyc.example.com', secret, now })).toThrow(/https/);
    expect(() => createHttpKyc({ url: server.url, secret: '', now })).toThrow(/32 bytes/);
  });
});

describe('the verdict of a webhook', () => {
  const body = {
    event_id: 'evt_1',
    applicant_id: '0190f3c4-0000-7000-8000-000000000001',
    sequence: 2,
    decision: 'REJECTED',
    retryable: true,
    reason: 'document_unreadable',
  };

  test('is read into the port', () => {
    expect(toKycVerdict(kycVerdictSchema.parse(body))).toEqual({
      eventId: 'evt_1',
      applicantId: '0190f3c4-0000-7000-8000-000000000001',
      sequence: 2,
      decision: 'REJECTED',
      retryable: true,
      reason: 'document_unreadable',
    });
  });

  test('needs neither reason nor retryable', () => {
    const { reason: _reason, retryable: _retryable, ...short } = body;
    const approved = kycVerdictSchema.parse({ ...short, decision: 'APPROVED' });
    expect(toKycVerdict(approved)).toMatchObject({ retryable: false, reason: null });
  });

  test.each([
    ['an account chosen by the provider', { account_id: 'x' }],
    ['a tier', { tier: 'FULL' }],
    ['an unknown decision', { decision: 'approved' }],
    ['a retryable approval', { decision: 'APPROVED' }],
    ['a sequence of zero', { sequence: 0 }],
    ['a fractional sequence', { sequence: 1.5 }],
    ['a sequence as text', { sequence: '2' }],
    ['an empty applicant', { applicant_id: '' }],
    ['a long event id', { event_id: 'e'.repeat(129) }],
    ['a long reason', { reason: 'r'.repeat(201) }],
  ])('is refused with %s', (_name, over) => {
    expect(kycVerdictSchema.safeParse({ ...body, ...over }).success).toBe(false);
  });
});
