/** Undoing a change of contacts by the link of its notice. */
import { z } from 'zod';

export const undoChangeBody = z
  .strictObject({ token: z.string().min(32).max(255) })
  .meta({ id: 'UndoContactChange', examples: [{ token: 'the token in the link of the notice' }] });

export const undoChangeAnswer = z
  .object({ user_id: z.string(), message: z.string(), state: z.string(), sessions_revoked: z.int() })
  .meta({ id: 'ContactChangeUndone' });
