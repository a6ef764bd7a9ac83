/** Every lifecycle by name. A new one is one line here. */
import { challenge } from './challenge.ts';
import { contactChange } from './contact-change.ts';
import { factor } from './factor.ts';
import { login } from './login.ts';
import type { EventsOf, MachineModule } from './module.ts';
import { recovery } from './recovery.ts';
import { signup } from './signup.ts';
import { tradingLink } from './trading-link.ts';

const modules = {
  signup,
  login,
  challenge,
  recovery,
  contact_change: contactChange,
  factor,
  trading_link: tradingLink,
};

type Modules = typeof modules;
export type MachineId = keyof Modules;
/** What each machine may be sent. */
export type MachineEvents = { [M in MachineId]: EventsOf<Modules[M]['events']> };
export type Definition = MachineModule;

export const registry: Record<MachineId, Definition> = modules;

export const isMachineId = (id: string): id is MachineId => Object.hasOwn(registry, id);
