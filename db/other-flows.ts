/** What a commit of one flow does to other flows, which it has not read. */
import type { FlowRow } from './commit.ts';
import { flows } from './schema.ts';
import { update, type WriteFragment } from './write/fragment.ts';

/** Gives an active flow another token; a conflict when it is not active. */
export const setToken = (
  id: string,
  token: Pick<FlowRow, 'tokenGeneration' | 'tokenHash' | 'tokenExpiresAt'>,
): WriteFragment =>
  update(flows, token, { sql: "id = ? and status = 'active'", params: [id] }, { expectRows: 1 });

/** Archives the other active flows of the same machine for the contact. */
export const archiveOthers = (
  { id, machine }: Pick<FlowRow, 'id' | 'machine'>,
  contactId: string,
): WriteFragment =>
  update(
    flows,
    { status: 'archived' },
    {
      sql: "contact_id = ? and machine = ? and status = 'active' and id <> ?",
      params: [contactId, machine, id],
    },
  );
