/** Whom and what a made-up flow is about, where whoever asks "what if" does not say. */

export const SAMPLE = {
  contact: '00000000-0000-7000-8000-00000000c0de',
  previous: '00000000-0000-7000-8000-00000000c01d',
  account: '00000000-0000-7000-8000-00000000acc0',
  flow: '00000000-0000-7000-8000-00000000f10e',
  session: '00000000-0000-7000-8000-00000000ce55',
  factor: '00000000-0000-7000-8000-0000000fac70',
  kyc: '00000000-0000-7000-8000-0000000000bc',
  trading: '00000000-0000-7000-8000-0000000ac001',
} as const;
