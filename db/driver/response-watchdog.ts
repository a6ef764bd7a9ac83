/**
 * Fault of postgres 3.4.9: it waits for ever for a server that says nothing, be it a stuck host or a network that
 * swallows packets. https://github.com/porsager/postgres/issues/1089
 * The server itself gives up a slow statement, so a server that still answers is never cut off here.
 */
import { connect, type Socket } from 'node:net';

const TICK_MS = 250;
/** After a pause this long of the process itself, answers may lie there unread. */
const OWN_PAUSE_MS = 1000;

/** Reads as a lost connection, which it is. */
const silence = () => Object.assign(new Error('Postgres does not answer'), { code: 'ETIMEDOUT' });

type Statement = PromiseLike<unknown> & { reject?(error: Error): void };
type Address = { host: string | string[]; port: number | number[]; path?: string | false };

export type Watchdog = {
  /** The driver's `socket` option: opens a connection that is watched. */
  socket(address: Address): Socket;
  /** An answer is due. In a lane, an overdue statement fails even if it could not be sent. */
  follow<T extends Statement>(statement: T): T;
  stop(): void;
};

export function responseWatchdog(options: { limitMs: number; lane: boolean }): Watchdog {
  const { limitMs, lane } = options;
  /** Since when each waits; oldest first. */
  const waiting = new Map<Statement, number>();
  const sockets = new Map<Socket, { bytes: number; at: number }>();
  let connections = 0;
  let last = performance.now();

  function listen(now: number): void {
    for (const [socket, heard] of sockets) {
      if (socket.destroyed) sockets.delete(socket);
      else if (socket.bytesRead !== heard.bytes) sockets.set(socket, { bytes: socket.bytesRead, at: now });
    }
  }

  const timer = setInterval(() => {
    const now = performance.now();
    const paused = now - last > OWN_PAUSE_MS;
    last = now;
    listen(now);
    const overdue = [...waiting].filter(([, since]) => now - since > limitMs);
    if (paused || overdue.length === 0) return;
    for (const [socket, heard] of sockets) {
      if (now - heard.at > limitMs) socket.destroy();
    }
    // A transaction has to end by its connection's close, so that its connection comes back to the pool.
    if (lane) for (const [statement] of overdue) statement.reject?.(silence());
  }, TICK_MS);
  timer.unref();

  return {
    socket({ host, port, path }) {
      const [hosts, ports] = [[host].flat(), [port].flat()];
      const nth = connections++ % hosts.length;
      const at = { host: hosts[nth] ?? 'localhost', port: ports[nth] ?? 5432 };
      const socket = path ? connect(path) : connect(at);
      sockets.set(socket, { bytes: 0, at: performance.now() });
      return Object.assign(socket, at);
    },
    follow(statement) {
      const answered = () => void waiting.delete(statement);
      waiting.set(statement, performance.now());
      statement.then(answered, answered);
      return statement;
    },
    stop: () => clearInterval(timer),
  };
}

/** Rejects when `work` has not begun in time. `begin` says that it has, or throws when it is too late. */
export function withTimeout<T>(limitMs: number, work: (begin: () => void) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      reject(silence());
    }, limitMs);
    work(() => {
      clearTimeout(timer);
      if (late) throw silence();
    })
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
