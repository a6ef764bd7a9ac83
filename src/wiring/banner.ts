/** What a start prints once requests are answered. It names no secret. */
import type { AddressInfo } from 'node:net';
import { styleText } from 'node:util';
import type { Config } from '../config/index.ts';
import type { App } from './app.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** What a person needs next; a program gets one line. Only addresses that answer are named. */
export function announce(
  app: App,
  config: Config,
  { version, embeddedDir }: { version: string; embeddedDir: string | null },
): void {
  const { port } = app.server.server.address() as AddressInfo;
  const host = ['0.0.0.0', '::'].includes(config.host) ? '127.0.0.1' : config.host;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const seconds = performance.now() / 1000;
  if (config.logFormat === 'json') {
    app.server.log.info({ version, url, seconds: Number(seconds.toFixed(2)) }, 'ready');
    return;
  }
  const has = (path: string) => app.server.hasRoute({ method: 'GET', url: path });
  const line = (name: string, text: string) => say(`  ${styleText('dim', name.padEnd(10))}${text}`);
  const link = (name: string, path: string) => {
    if (path === '' || has(path)) line(name, styleText('cyan', `${url}${path}`));
  };
  say(`\n  ${styleText('bold', `Vestibule ${version}`)} is ready in ${seconds.toFixed(1)} s\n`);
  link('API', '');
  if (config.docs.enabled) link('Docs', '/docs');
  link('Console', '/console');
  link('Inspector', '/dev/inspect');
  link('Inbox', '/dev/inbox');
  const counters = config.redis.url === null ? 'counters in this process: run one only' : 'counters in Redis';
  line('Data', `Postgres${embeddedDir === null ? '' : ` in ${embeddedDir}`}; ${counters}`);
  if (config.demo) {
    const reviewer = config.adminToken ? 'ADMIN_TOKEN' : `adminToken in ${config.dataDir}/secrets.json`;
    line('Demo', `the code is ${styleText('bold', '000000')} for every number; nothing is sent`);
    line('Reviewer', `Bearer token: ${reviewer}`);
    const service = config.introspectionToken
      ? 'INTROSPECTION_TOKEN'
      : `introspectionToken in ${config.dataDir}/secrets.json`;
    line('Service', `Bearer token for introspection: ${service}`);
  }
  say(`\n  Try it: the commands in README.md, or npx vestibule demo. Stop: Ctrl-C.\n`);
}
