/** A fixed address in front of a server that moves, goes silent or cuts its callers off. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type Proxy = {
  port: number;
  /** Where new connections go from now on. */
  aim(port: number): void;
  /** Ends every connection at once. */
  cut(): void;
  /** Accepts and passes on nothing more, in either direction, until `resume`. */
  stall(): void;
  resume(): void;
  close(): Promise<void>;
};

export async function tcpProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let to = target;
  let stalled = false;
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket.setNoDelay(true));
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.on('data', (chunk) => void other.write(chunk));
      if (stalled) socket.pause();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    aim: (port) => {
      to = port;
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    stall: () => {
      stalled = true;
      for (const socket of sockets) socket.pause();
    },
    resume: () => {
      stalled = false;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
