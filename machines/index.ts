/** Every lifecycle by name. A new one is one line here. */
import type { ParameterizedObject, StateMachine } from 'xstate';
import { challenge } from './challenge.ts';
import { contactChange } from './contact-change.ts';
import { factor } from './factor.ts';
import { login } from './login.ts';
import type { EventsOf, MachineModule } from './module.ts';
import { recovery } from './recovery.ts';
import { signup } from './signup.ts';

const modules = { signup, login, challenge, recovery, contact_change: contactChange, factor };

type Modules = typeof modules;
export type MachineId = keyof Modules;
/** What each machine may be sent. */
export type MachineEvents = { [M in MachineId]: EventsOf<Modules[M]['events']> };
// biome-ignore lint/suspicious/noExplicitAny: of fourteen parameters only the fifth is looked at
type _ = any;
type ActionsOf<M> = M extends StateMachine<_, _, _, _, infer A, _, _, _, _, _, _, _, _, _> ? A : never;
type Action = Extract<ActionsOf<Modules[MachineId]['machine']>, ParameterizedObject>;
/** What machines ask for: name → parameters, as each machine declares it. */
export type DeclaredEffects = { [A in Action as A['type']]: NonNullable<A['params']> };
export type Definition = MachineModule;

export const registry: Record<MachineId, Definition> = modules;

export const isMachineId = (id: string): id is MachineId => Object.hasOwn(registry, id);
