/** Who is signed in to the console. A row is a session; without it the cookie opens nothing. Keys are keyed digests. */
import type { Database } from './client.ts';

export type ConsoleSessionStore = ReturnType<typeof createConsoleSessionStore>;

export function createConsoleSessionStore(db: Pick<Database, 'writes'>) {
  const query = (text: string, params: unknown[]) =>
    db.writes.unsafe(text, params as never[], { prepare: true });
  return {
    /** Opens a session and forgets those that are over. */
    async open(key: string, now: Date, expiresAt: Date): Promise<void> {
      await query(
        `with gone as (delete from console_sessions where expires_at <= $2::timestamptz)
         insert into console_sessions (key, expires_at) values ($1, $3::timestamptz)`,
        [key, now.toISOString(), expiresAt.toISOString()],
      );
    },
    async live(key: string, now: Date): Promise<boolean> {
      const text = 'select 1 from console_sessions where key = $1 and expires_at > $2::timestamptz';
      return (await query(text, [key, now.toISOString()])).length === 1;
    },
    async end(key: string): Promise<void> {
      await query('delete from console_sessions where key = $1', [key]);
    },
  };
}
