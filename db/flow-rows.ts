/** Rows of other flows that an effect changes beside its own; its own snapshot is written by `commit` alone. */
import { flows } from './schema.ts';
import { type Part, update } from './statement.ts';

/** A new token for an active flow. Throws Stale when the flow is active no more. */
export const replaceToken = (
  flowId: string,
  token: { tokenGeneration: number; tokenHash: string; tokenExpiresAt: Date },
): Part => update(flows, token, { sql: "id = ? and status = 'active'", params: [flowId] }, { must: 1 });

/** Archives the contact's other active flows of the same machine. */
export const supersede = (flow: { id: string; machine: string }, contactId: string): Part =>
  update(
    flows,
    { status: 'archived' },
    {
      sql: "contact_id = ? and machine = ? and status = 'active' and id <> ?",
      params: [contactId, flow.machine, flow.id],
    },
  );
