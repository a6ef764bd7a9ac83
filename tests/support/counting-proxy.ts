/** Stands between the application and Postgres and counts what is asked: one round trip ends with Sync or a simple query. */
import { connect, createServer, type Socket } from 'node:net';

export type CountingProxy = { url: string; roundTrips(): number; close(): Promise<void> };

const SYNC = 0x53;
const QUERY = 0x51;

export async function countingProxy(databaseUrl: string): Promise<CountingProxy> {
  const target = new URL(databaseUrl);
  const open = new Set<Socket>();
  let count = 0;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let pending = Buffer.alloc(0);
    let started = false;
    client.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        // The first message has no type; every other begins with one byte of it. Lengths include themselves.
        const head = started ? 1 : 0;
        if (pending.length < head + 4) break;
        const size = head + pending.readUInt32BE(head);
        if (pending.length < size) break;
        if (started && (pending[0] === SYNC || pending[0] === QUERY)) count += 1;
        started = true;
        pending = pending.subarray(size);
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    roundTrips: () => count,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
