/**
 * Fault of postgres 3.4.9: after a close "with error" it keeps the statements that were sent between the error and the
 * close, never settles them, and would give them the answers of later statements.
 * https://github.com/porsager/postgres/issues/1186, https://github.com/porsager/postgres/pull/1142
 */
import type { Socket } from 'node:net';

/** Reports every close of the socket as a clean one, after which the driver fails all statements of the connection. */
export function closingClean(socket: Socket): Socket {
  const on = socket.on.bind(socket) as (event: string, listener: (...args: unknown[]) => void) => Socket;
  const heed: typeof on = (event, listener) =>
    on(event, event === 'close' ? () => listener(false) : listener);
  return Object.assign(socket, { on: heed });
}
