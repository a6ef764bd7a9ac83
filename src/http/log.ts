/** What the process says about itself: one line per request, JSON for machines or text for people. Never a body, a query or a token. */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { pino } from 'pino';
import type { Config } from '../config/index.ts';

const problems = new WeakMap<FastifyRequest, string>();

/** The problem code a request is answered with; shown on its one line instead of on a line of its own. */
export const noteProblem = (request: FastifyRequest, code: string): void => {
  problems.set(request, code);
};

/** One line when a request is answered. The route's pattern stands for the path, so that no id and no query is kept. */
export class RequestLog extends LogController {
  constructor() {
    super({ requestIdLogLabel: 'requestId' });
  }

  override incomingRequest(): void {}

  override routeNotFound(): void {}

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const problem = problems.get(request);
    const line = {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      elapsedMs: Math.round(reply.elapsedTime * 10) / 10,
      ...(problem === undefined ? {} : { problem }),
    };
    if (error) request.log.error({ ...line, err: error }, 'request');
    else request.log.info(line, 'request');
  }
}

/** A database error's detail repeats values of rows: only what names the fault is kept. */
const err = (given: Error & { params?: unknown; cause?: unknown }) => {
  // drizzle's message is the statement with its parameters; Postgres's own words are in its cause.
  const error: Error & { code?: unknown } =
    given.params !== undefined && given.cause instanceof Error ? given.cause : given;
  return {
    type: error.name,
    ...(typeof error.code === 'string' ? { code: error.code } : {}),
    message: error.message,
    stack: error.stack ?? '',
  };
};

type Line = { level: number; time: number; msg?: string; err?: { stack?: string } };
const NAMES: Record<number, string> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
const UNSAID = new Set(['level', 'time', 'msg', 'err', 'pid', 'hostname', 'requestId']);

/** One JSON line as a person reads it: `21:04:11 warn  delivery failed topic=sms.code`. */
export function textOf(json: string): string {
  const line = JSON.parse(json) as Line & Record<string, unknown>;
  const clock = new Date(line.time).toTimeString().slice(0, 8);
  const rest = Object.entries(line)
    .filter(([key]) => !UNSAID.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const stack = line.err?.stack ? `\n${line.err.stack}` : '';
  return `${clock} ${(NAMES[line.level] ?? '').padEnd(5)} ${line.msg ?? ''}${rest.join('')}${stack}\n`;
}

type Stream = { write(line: string): void };

const people: Stream = { write: (json) => void process.stdout.write(textOf(json)) };

/** Lines are gathered for this long, so that no request waits for a write; what a crash says is written on its way out. */
const GATHER_MS = 50;

let machines: Stream | null = null;
function gathered(): Stream {
  if (!machines) {
    const out = pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: GATHER_MS });
    process.once('exit', () => out.flushSync());
    machines = out;
  }
  return machines;
}

/** Options for Fastify's logger; JSON lines go to `stream` when there is one. */
export function loggerOf({ logLevel, logFormat }: Pick<Config, 'logLevel' | 'logFormat'>, stream?: Stream) {
  const to = stream ?? (logFormat === 'text' ? people : gathered());
  return { level: logLevel, serializers: { err }, stream: to };
}
