/** As little HTTP/1.1 client as will do, so that the load costs far less than what it measures. */
import { connect, type Socket } from 'node:net';

export type Answer = { status: number; headers: string; body: string };

export class Connection {
  private socket: Socket;
  private readonly url: URL;
  private buffered: Buffer = Buffer.alloc(0);
  private waiting: { resolve(a: Answer): void; reject(e: Error): void } | null = null;

  constructor(url: URL) {
    this.url = url;
    this.socket = this.open();
  }

  private open(): Socket {
    const socket = connect({ host: this.url.hostname, port: Number(this.url.port), noDelay: true });
    const fail = (error: Error) => {
      if (this.socket === socket) this.waiting?.reject(error);
    };
    socket.on('data', (chunk) => this.take(chunk));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('connection closed')));
    return socket;
  }

  /** One request at a time per connection. */
  send(method: string, path: string, body?: object, token?: string): Promise<Answer> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const auth = token === undefined ? '' : `authorization: Bearer ${token}\r\n`;
    const type =
      body === undefined
        ? ''
        : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n`;
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(`${method} ${path} HTTP/1.1\r\nhost: ${this.url.host}\r\n${auth}${type}\r\n${text}`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    this.buffered = this.buffered.length === 0 ? chunk : Buffer.concat([this.buffered, chunk]);
    const end = this.buffered.indexOf('\r\n\r\n');
    if (end < 0) return;
    const headers = this.buffered.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(headers)?.[1] ?? 0);
    if (this.buffered.length < end + 4 + length) return;
    const body = this.buffered.toString('utf8', end + 4, end + 4 + length);
    this.buffered = this.buffered.subarray(end + 4 + length);
    const { waiting } = this;
    this.waiting = null;
    // A server may bound the requests of one connection; it says so on the last one.
    if (/\r\nconnection: close/i.test(headers)) {
      this.socket.destroy();
      this.socket = this.open();
    }
    waiting?.resolve({ status: Number(headers.slice(9, 12)), headers, body });
  }
}
