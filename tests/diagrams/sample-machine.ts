/** A small lifecycle with everything the real machines use: nesting, a pipeline of eventless stages, composed guards. */
import { and, assign, not, setup } from 'xstate';

type Context = { stage: number; risk: number; tries: number };
type Event =
  | { type: 'OPEN'; risk: number }
  | { type: 'ANSWER'; right: boolean }
  | { type: 'NOTE' }
  | { type: 'UPGRADE' }
  | { type: 'BLOCK' };

export const sampleMachine = setup({
  types: { context: {} as Context, events: {} as Event },
  actions: { note: () => {}, open: (_: unknown, _p: { tier: string }) => {}, welcome: () => {} },
  guards: {
    riskKnown: ({ context }) => context.stage === 1 && context.risk >= 0,
    lowRisk: ({ context }) => context.stage === 2 && context.risk < 50,
    opened: ({ event }) => event.type === 'OPEN',
    right: ({ event }) => event.type === 'ANSWER' && event.right,
    triesLeft: ({ context }, { max }: { max: number }) => context.tries < max,
  },
}).createMachine({
  id: 'sample',
  version: '2',
  context: { stage: 0, risk: 0, tries: 0 },
  initial: 'idle',
  states: {
    idle: {
      meta: { tier: 'UNVERIFIED', label: 'nothing yet' },
      on: { OPEN: { target: 's1', actions: assign({ risk: ({ event }) => event.risk, stage: 1 }) } },
    },
    s1: {
      meta: { label: 'stage 1' },
      always: [
        { guard: not('riskKnown'), target: 'blocked' },
        { guard: 'riskKnown', target: 's2', actions: assign({ stage: 2 }) },
      ],
    },
    s2: {
      meta: { label: 'stage 2' },
      always: [
        { guard: and(['lowRisk', 'opened']), target: 's3', actions: assign({ stage: 3 }) },
        { target: 'challenge' },
      ],
    },
    challenge: {
      meta: { label: 'challenge', budgetMs: 60_000 },
      on: {
        ANSWER: [
          { guard: 'right', target: 's3', actions: assign({ stage: 3 }) },
          {
            guard: { type: 'triesLeft', params: { max: 2 } },
            target: 'challenge',
            reenter: true,
            actions: assign({ tries: ({ context }) => context.tries + 1 }),
          },
          { target: 'blocked' },
        ],
        NOTE: { actions: 'note' },
      },
    },
    s3: { meta: { label: 'stage 3' }, always: 's4' },
    s4: { meta: { label: 'stage 4' }, always: { target: 's5' } },
    s5: {
      meta: { label: 'stage 5' },
      always: { target: 'LIMITED', actions: { type: 'open', params: { tier: 'LIMITED' } } },
    },
    LIMITED: {
      meta: { tier: 'LIMITED', milestone: 1 },
      initial: 'active',
      entry: 'welcome',
      on: { BLOCK: 'blocked' },
      states: {
        active: { meta: { tier: 'LIMITED' }, on: { UPGRADE: 'review' } },
        review: { meta: { tier: 'LIMITED' }, on: { UPGRADE: '#sample.FULL', NOTE: {} } },
      },
    },
    FULL: { type: 'final', tags: ['granted'], meta: { tier: 'FULL', milestone: 2 } },
    blocked: { type: 'final', tags: ['denied'], meta: { label: 'blocked' } },
  },
});
