/** A way to the database that can swallow its answers, or break: what was sent is done, and nobody learns of it. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** Both end what a client may learn: silence for good, or a lost connection after which the next one works. */
type Loss = 'silence' | 'break';

export async function muteableDatabase(databaseUrl: string) {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let answering = true;
  let armed: { marker: string; loss: Loss; transaction: boolean } | null = null;
  const server = createServer((client) => {
    const upstream = dial(Number(target.port), target.hostname);
    let breaking = false;
    let marked = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => [client, upstream].forEach((s) => void s.destroy()));
    }
    client.on('data', (bytes: Buffer) => {
      const before = marked;
      marked ||= armed !== null && bytes.includes(armed.marker);
      if (armed && (armed.transaction ? before : marked)) {
        if (armed.loss === 'silence') answering = false;
        else breaking = true;
        armed = null;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (breaking) client.destroy();
      else if (answering) client.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    answers: (on: boolean) => {
      answering = on;
    },
    /**
     * Carries out the next statement that has `marker` among its values, or the end of the transaction it is the last
     * one of, and loses the answer.
     */
    loseAnswerTo(marker: string, loss: Loss, { transaction = false } = {}) {
      armed = { marker, loss, transaction };
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
