/** The bare driver on sockets that a test breaks, to show a fault with and without its workaround. */
import { connect, type Socket } from 'node:net';
import postgres, { type Sql } from 'postgres';

export type Broken = {
  sql: Sql;
  /** Breaks the connection; `send` runs after its error, if any, and before the driver hears of its close. */
  break(error: Error | null, send: () => void): Promise<void>;
};

/** One connection. `wrap` is the workaround under test. */
export function breakable(
  databaseUrl: string,
  { wrap = (socket: Socket) => socket, connection = {} as Record<string, unknown> } = {},
): Broken {
  const { hostname: host, port } = new URL(databaseUrl);
  let current: Socket | undefined;
  const sql = postgres(databaseUrl, {
    max: 1,
    fetch_types: false,
    connect_timeout: 1,
    backoff: () => 0,
    connection,
    onnotice: () => {},
    socket: () => {
      const at = { host, port: Number(port || 5432) };
      current = Object.assign(connect(at), at);
      return wrap(current);
    },
  } as object);
  return {
    sql,
    // Sockets close in the event loop's phase behind immediates: what an immediate sends is still unwritten then.
    break: (error, send) =>
      new Promise((resolve) => {
        setImmediate(() => {
          current?.once('close', () => setImmediate(resolve));
          if (error) current?.once('error', send);
          current?.destroy(error ?? undefined);
          if (!error) send();
        });
      }),
  };
}

/** What has become of a promise so far. */
export function outcome(promise: PromiseLike<unknown>): { state: 'pending' | 'resolved' | 'rejected' } {
  const seen: ReturnType<typeof outcome> = { state: 'pending' };
  promise.then(
    () => {
      seen.state = 'resolved';
    },
    () => {
      seen.state = 'rejected';
    },
  );
  return seen;
}
