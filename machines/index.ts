/** Every lifecycle by name: its machine, the version new snapshots carry, and how older ones are lifted to it. */
import type { AnyStateMachine } from 'xstate';
import type { ZodType } from 'zod';
import { type ChallengeEvent, challengeContextSchema, challengeMachine } from './challenge.ts';
import {
  type ContactChangeEvent,
  contactChangeContextSchema,
  contactChangeMachine,
} from './contact-change.ts';
import { type FactorEvent, factorContextSchema, factorMachine } from './factor.ts';
import { type LoginEvent, loginContextSchema, loginMachine } from './login.ts';
import { type RecoveryEvent, recoveryContextSchema, recoveryMachine } from './recovery.ts';
import { signupMachine } from './signup.ts';
import { type SignupEvent, signupContextSchema } from './signup-context.ts';
import { challengeV1toV2, loginV1toV2, loginV2toV3, signupV1toV2, type Upgrade } from './upgrades.ts';

export type Definition = {
  id: string;
  version: number;
  machine: AnyStateMachine;
  /** XState does not validate a restored context; this does. */
  context: ZodType<{ dueAt: number | null }>;
  /** `upgrades[n]` lifts version n to n + 1. */
  upgrades: Record<number, Upgrade>;
  /**
   * A blocked account never advances; only login may look at one, to deny it at L2. What is only offered to it may
   * still run out.
   */
  needsActiveAccount: boolean | 'but to expire';
};

export type MachineEvents = {
  signup: SignupEvent;
  login: LoginEvent;
  challenge: ChallengeEvent;
  recovery: RecoveryEvent;
  contact_change: ContactChangeEvent;
  factor: FactorEvent;
};
export type MachineId = keyof MachineEvents;

export const registry: Record<MachineId, Definition> = {
  signup: {
    id: 'signup',
    version: 2,
    machine: signupMachine,
    context: signupContextSchema,
    upgrades: { 1: signupV1toV2 },
    needsActiveAccount: true,
  },
  login: {
    id: 'login',
    version: 3,
    machine: loginMachine,
    context: loginContextSchema,
    upgrades: { 1: loginV1toV2, 2: loginV2toV3 },
    needsActiveAccount: false,
  },
  challenge: {
    id: 'challenge',
    version: 2,
    machine: challengeMachine,
    context: challengeContextSchema,
    upgrades: { 1: challengeV1toV2 },
    needsActiveAccount: false,
  },
  recovery: {
    id: 'recovery',
    version: 1,
    machine: recoveryMachine,
    context: recoveryContextSchema,
    upgrades: {},
    needsActiveAccount: 'but to expire',
  },
  contact_change: {
    id: 'contact_change',
    version: 1,
    machine: contactChangeMachine,
    context: contactChangeContextSchema,
    upgrades: {},
    needsActiveAccount: 'but to expire',
  },
  factor: {
    id: 'factor',
    version: 1,
    machine: factorMachine,
    context: factorContextSchema,
    upgrades: {},
    needsActiveAccount: 'but to expire',
  },
};

export const isMachineId = (id: string): id is MachineId => Object.hasOwn(registry, id);
