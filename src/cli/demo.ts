/**
 * The narrated tour: starts the service on a folder of its own, prints each command, runs it, and shows which state it
 * led to. Ends with the service still running; `--fast` neither waits nor stays. Non-zero when an answer is not as told.
 */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify, styleText } from 'node:util';
import { generateSync } from 'otplib';
import { RESERVED_TOTP_SECRET } from '../adapters/reserved.ts';
import { singleQuoted } from '../console/kit/curl.ts';
import { systemClock } from '../kernel/clock.ts';
import { argumentsOf, type Command, EXIT } from './command.ts';
import { startService } from './demo-service.ts';
import { type Call, type Scene, STORY } from './demo-story.ts';

const PAUSE_MS = 900;

const say = (line = ''): void => void process.stdout.write(`${line}\n`);

type Answer = { status: number; text: string; body: Record<string, unknown> };

/** The command as a person would type it; `shown` has names where the real one has tokens. */
function commandOf(
  call: Call,
  url: string,
  fill: (text: string) => string,
): { args: string[]; shown: string } {
  const headers = [
    ...(call.body ? ['Content-Type: application/json'] : []),
    ...(call.accept ? [`Accept: ${call.accept}`] : []),
    ...(call.token ? [`Authorization: Bearer $${call.token}`] : []),
  ];
  const body = call.body ? JSON.stringify(call.body) : null;
  const shown = [
    `curl ${url}${call.path}`,
    ...headers.map((header) => `-H "${header}"`),
    ...(body ? [`-d ${singleQuoted(body)}`] : []),
  ];
  const args = [
    fill(url + call.path),
    ...headers.flatMap((header) => ['-H', fill(header)]),
    ...(body ? ['-d', fill(body)] : []),
  ];
  return { args, shown: shown.join(' \\\n      ') };
}

const run = promisify(execFile);

/** Real curl when there is one, else the same request by fetch. */
async function ask(call: Call, args: string[]): Promise<Answer> {
  const answer = async (): Promise<[string, number]> => {
    try {
      const { stdout } = await run('curl', ['-s', '-w', '\n%{http_code}', ...args]);
      const cut = stdout.lastIndexOf('\n');
      return [stdout.slice(0, cut), Number(stdout.slice(cut + 1))];
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOENT') throw error;
      const headers = args.flatMap((arg, i) =>
        args[i - 1] === '-H' ? [arg.split(/: (.*)/s) as [string, string]] : [],
      );
      const at = args.indexOf('-d');
      const body = at < 0 ? {} : { body: args[at + 1] ?? '' };
      const response = await fetch(args[0] ?? '', { method: call.method, headers, ...body });
      return [await response.text(), response.status];
    }
  };
  const [text, status] = await answer();
  return { status, text, body: text.startsWith('{') ? JSON.parse(text) : { text } };
}

const textOf = (value: unknown): string =>
  value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);

/** What the answer says otherwise than told. */
const mismatches = ({ status, told }: Scene, { status: got, body }: Answer): string[] => [
  ...(got === status ? [] : [`status ${got}, not ${status}`]),
  ...Object.entries(told).flatMap(([name, value]) =>
    textOf(body[name]) === value
      ? []
      : [`${name} is ${textOf(body[name]) || 'missing'}, not ${value || 'missing'}`],
  ),
];

function show({ status, body }: Answer, told: Scene['told'], states: Map<string, string>): void {
  const {
    flow_id: flow,
    state,
    next,
  } = body as { flow_id?: string; state?: string; next?: { event: string }[] };
  const before = flow === undefined ? undefined : states.get(flow);
  if (flow !== undefined && state !== undefined) states.set(flow, state);
  const moved = before === undefined || before === state ? state : `${before} → ${state}`;
  say(`  ${styleText(status < 400 ? 'green' : 'yellow', String(status))}  ${styleText('bold', moved ?? '')}`);
  const fields = Object.keys(told).filter((name) => name !== 'state' && body[name] !== undefined);
  if (fields.length) say(`       ${fields.map((name) => `${name}: ${textOf(body[name])}`).join('   ')}`);
  if (next?.length) say(styleText('dim', `       next: ${next.map(({ event }) => event).join(', ')}`));
}

async function tell(url: string, fast: boolean): Promise<void> {
  const kept = new Map<string, string>();
  const states = new Map<string, string>();
  const fill = (text: string): string =>
    text.replace(/\$([A-Z]+)/g, (_, name: string) => kept.get(name) ?? '');
  /** What the app shows, and what it showed before: the second one is for the setup, so that the first is left for a login. */
  const readApp = () => {
    const epoch = Math.floor(systemClock().now() / 1000);
    const at = (seconds: number) => generateSync({ secret: RESERVED_TOTP_SECRET, epoch: epoch + seconds });
    kept.set('CODE', at(0)).set('BEFORE', at(-30));
  };
  for (const scene of STORY) {
    if (scene.title) say(`\n${styleText('bold', `── ${scene.title}`)}`);
    await delay(Math.max(scene.afterMs ?? 0, fast ? 0 : PAUSE_MS));
    if (!kept.has('SECOND')) readApp();
    const { args, shown } = commandOf(scene.call, url, fill);
    say(`\n  ${scene.say}\n  ${styleText('cyan', `$ ${shown}`)}`);
    let answer = await ask(scene.call, args);
    for (let tries = 50; scene.eventually && tries > 0 && mismatches(scene, answer).length; tries--) {
      await delay(100);
      answer = await ask(scene.call, args);
    }
    show(answer, scene.told, states);
    const wrong = mismatches(scene, answer);
    if (wrong.length) throw new Error(`Not as told: ${wrong.join('; ')}.\n${answer.text}`);
    for (const [name, field] of Object.entries(scene.keep ?? {})) kept.set(name, textOf(answer.body[field]));
  }
}

async function play(fast: boolean): Promise<void> {
  say(styleText('dim', 'Starting the service on a folder of its own …'));
  const service = await startService();
  let ending: Promise<never> | undefined;
  const end = (code: number): Promise<never> => {
    ending ??= service.stop().then(() => process.exit(code));
    return ending;
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(EXIT.ok));

  try {
    await tell(service.url, fast);
  } catch (error) {
    if (ending) await ending;
    process.stderr.write(`\n${(error as Error).message}\n`);
    await end(EXIT.failed);
  }
  say(`\n${styleText('bold', '── All as told.')} Open:\n`);
  for (const [name, path] of [
    ['API', '/'],
    ['Docs', '/docs'],
    ['Console', '/console'],
    ['Inbox', '/dev/inbox'],
  ] as const) {
    if (await service.answers(path)) say(`  ${name.padEnd(8)} ${styleText('cyan', service.url + path)}`);
  }
  if (fast) await end(EXIT.ok);
  say(`\n  The service keeps running until Ctrl-C; its data goes with it.\n`);
}

export const command: Command = {
  usage: `usage: vestibule demo [--fast]

  --fast  neither wait between the scenes nor stay running after the last one`,
  async run(args) {
    const { values } = argumentsOf({ args, options: { fast: { type: 'boolean', default: false } } });
    await play(values.fast);
    return undefined;
  },
};
