/** Raw sockets for tests: what a client library would normalise away must reach the server as written. */
import { type AddressInfo, connect } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Listens on a free loopback port and returns it. */
export async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  return (app.server.address() as AddressInfo).port;
}

export type RawAnswer = {
  status: number;
  headers: Record<string, string>;
  body: string;
  text: string;
  closed: boolean;
};

/** Sends the chunks as they are and reads until the server closes, or `idleMs` after the last byte. */
export function raw(port: number, chunks: (string | Buffer)[], idleMs = 300): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const received: Buffer[] = [];
    const finish = (closed: boolean) => {
      socket.destroy();
      resolve({ ...parse(Buffer.concat(received).toString('latin1')), closed });
    };
    socket.on('data', (chunk) => {
      received.push(chunk);
      socket.setTimeout(idleMs);
    });
    socket.on('timeout', () => finish(false));
    socket.on('close', () => finish(true));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    for (const chunk of chunks)
      socket.write(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk);
    socket.setTimeout(5000);
  });
}

function parse(text: string): Omit<RawAnswer, 'closed'> {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
  }
  return { status: Number(line.split(' ')[1]), headers, body: utf8(rest.join('\r\n\r\n')), text };
}

const utf8 = (latin1: string) => Buffer.from(latin1, 'latin1').toString('utf8');
