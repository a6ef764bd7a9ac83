/** What is shipped: the image, the compose file and the check script, read as text because no container engine runs here. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { VARIABLES } from '../src/config/variables.ts';

const root = new URL('../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const manifest = JSON.parse(text('package.json')) as Record<string, Record<string, string>>;

describe('Dockerfile', () => {
  const lines = text('Dockerfile')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages = lines.filter((line) => line.startsWith('FROM '));
  const final = lines.slice(lines.lastIndexOf(stages.at(-1) ?? ''));

  test('builds in stages on the supported Node and installs from the lockfile without development packages', () => {
    expect(stages).toEqual(['FROM node:24-slim AS packages', 'FROM node:24-slim']);
    expect(lines.find((line) => line.includes('npm ci'))).toMatch(/npm ci --omit=dev --ignore-scripts/);
    expect(lines.join('\n')).not.toMatch(/npm (install|i) |:latest|ADD |curl|wget|sudo|apt-get/);
  });

  test('runs the server as an ordinary user who can write to /data only', () => {
    expect(final.at(-1)).toBe('CMD ["vestibule", "start"]');
    expect(final).toContain(`RUN ln -s /app/${manifest.bin?.vestibule} /usr/local/bin/vestibule`);
    expect(statSync(new URL(manifest.bin?.vestibule ?? '', root)).mode & 0o111).toBe(0o111);
    expect(final).toContain('USER 1000:1000');
    expect(final).toContain('VOLUME ["/data"]');
    expect(final.filter((line) => line.startsWith('COPY') && line.includes('--chown'))).toEqual([]);
    expect(final.findIndex((line) => line.startsWith('USER'))).toBeGreaterThan(
      final.findLastIndex((line) => /^(COPY|RUN)/.test(line)),
    );
  });

  test('is production unless told otherwise, carries no secret, and reports its health', () => {
    const environment = final.find((line) => line.startsWith('ENV')) ?? '';
    expect(environment).toContain('NODE_ENV=production');
    const secrets = Object.entries(VARIABLES).filter(([, { secret }]) => secret);
    expect(secrets.filter(([name]) => lines.join('\n').includes(`${name}=`))).toEqual([]);
    const health = /^HEALTHCHECK .*CMD (\[.*\])$/.exec(
      final.find((line) => line.startsWith('HEALTHCHECK')) ?? '',
    );
    const [program, flag, script] = JSON.parse(health?.[1] ?? '[]') as string[];
    expect([program, flag]).toEqual(['node', '-e']);
    expect(script).toContain('/health/live');
    expect(() => new Function(script ?? 'return')).not.toThrow();
  });

  test('copies nothing that the build context leaves out, and the context leaves out everything else', () => {
    const rules = text('.dockerignore').split('\n');
    const sources = lines
      .filter((line) => line.startsWith('COPY') && !line.includes('--from'))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    expect(rules.find((rule) => !rule.startsWith('#'))).toBe('*');
    expect(sources.filter((source) => !rules.includes(`!${source}`))).toEqual([]);
    expect(rules.filter((rule) => /^!.*(\.env|\.git|\.data|node_modules|tests)/.test(rule))).toEqual([]);
  });
});

describe('runtime packages', () => {
  const files = ['src', 'machines', 'db'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );

  test('nothing that runs in production statically imports a package that is left out there', () => {
    const known = new Set([...Object.keys(manifest.dependencies ?? {}), ...builtinModules]);
    // Generators are run by developers only.
    const shipped = files.filter((file) => !/^src\/(cli|diagrams)\//.test(file));
    const missing = shipped.flatMap((file) =>
      [...text(file).matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^'.][^']*)'/gm)]
        .map(([, specifier = '']) => specifier)
        .filter((specifier) => !specifier.startsWith('node:'))
        .map((specifier) => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier)
        .filter((name) => !known.has(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(files.length).toBeGreaterThan(10);
    expect(missing).toEqual([]);
  });

  test('the environment is read in one place', () => {
    const readers = files.filter((file) =>
      /\bprocess\.env\b/.test(text(file).replaceAll(/\/\*[\s\S]*?\*\//g, '')),
    );
    expect(readers).toEqual(['src/config/index.ts']);
  });
});

type Service = {
  image: string;
  build?: string;
  profiles?: string[];
  user?: string;
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
  privileged?: boolean;
  ports?: string[];
  command?: string[];
  environment?: Record<string, string>;
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  networks: string[];
  volumes: string[];
  tmpfs: string[];
};
type Compose = {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean }>;
  volumes: Record<string, unknown>;
};

describe('compose.yaml', () => {
  const compose = parse(text('compose.yaml'), { merge: true }) as Compose;
  const services = Object.entries(compose.services);
  const named = (name: string): Service => {
    const service = compose.services[name];
    if (!service) throw new Error(`no service ${name}`);
    return service;
  };

  test.each(services)('%s is read-only, without capabilities, and takes no new privileges', (_, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      tmpfs: expect.arrayContaining([expect.stringMatching(/^\/tmp:/)]),
    });
    expect(service.privileged).toBeUndefined();
    expect(service.volumes.filter((volume) => !(volume.split(':')[0]! in compose.volumes))).toEqual([]);
    expect(service.image).not.toMatch(/:latest$/);
  });

  test.each(services.filter(([, { build }]) => build))(
    '%s waits for healthy stores',
    (_, { depends_on = {} }) => {
      expect(Object.keys(depends_on)).toHaveLength(2);
      for (const [store, { condition }] of Object.entries(depends_on)) {
        expect(condition).toBe('service_healthy');
        expect(named(store).healthcheck?.test[0]).toBe('CMD');
      }
    },
  );

  test('stores publish no port, have no way out and are not root; the service listens on loopback only', () => {
    for (const [, service] of services.filter(([, { build }]) => !build)) {
      expect(service.ports).toBeUndefined();
      expect(service.networks.map((name) => compose.networks[name]?.internal)).toEqual([true]);
      expect(['postgres', 'redis']).toContain(service.user);
    }
    for (const [, { ports = [] }] of services.filter(([, { build }]) => build)) {
      expect(ports).toHaveLength(1);
      expect(ports[0]).toMatch(/^127\.0\.0\.1:/);
    }
  });

  test('Redis keeps its counters: appended to disk, never evicted', () => {
    const redis = services.filter(([, { image }]) => image.startsWith('redis:'));
    expect(redis).toHaveLength(2);
    for (const [, { command = [] }] of redis) {
      expect(command.join(' ')).toMatch(/--maxmemory-policy noeviction .*--appendonly yes/);
    }
  });

  test('the plain command starts an explicit demo and nothing else', () => {
    const started = services.filter(([, { profiles }]) => !profiles).map(([name]) => name);
    expect(started).toEqual(['vestibule', 'postgres', 'redis']);
    expect(named('vestibule').environment).toMatchObject({ NODE_ENV: 'development', DEMO_MODE: 'true' });
  });

  test('production is a profile of its own, never a demo, and brings no secret along', () => {
    const { environment, profiles } = named('production');
    expect(profiles).toEqual(['production']);
    expect(environment).toMatchObject({ NODE_ENV: 'production', DEMO_MODE: 'false' });
    expect(environment?.DB_PASS).toMatch(/^\$\{POSTGRES_PASSWORD:-\}$/);
    expect(named('production-postgres').environment?.POSTGRES_PASSWORD).toMatch(
      /^\$\{POSTGRES_PASSWORD:-\}$/,
    );
    const secrets = Object.entries(VARIABLES).filter(([name, { secret }]) => secret && name !== 'DB_PASS');
    expect(secrets.filter(([name]) => name in (environment ?? {}))).toEqual([]);
  });

  test('no variable is demanded by the file itself, which would stop the demo as well', () => {
    expect(text('compose.yaml').replaceAll(/^\s*#.*$/gm, '')).not.toMatch(/\$\{\w+:?\?/);
  });

  test('only variables the service reads are set on it', () => {
    const known = new Set(Object.entries(VARIABLES).flatMap(([name, { aliases }]) => [name, ...aliases]));
    for (const name of ['vestibule', 'production']) {
      expect(Object.keys(named(name).environment ?? {}).filter((variable) => !known.has(variable))).toEqual(
        [],
      );
    }
  });
});

describe('the check script', () => {
  test('is valid bash, executable, and the only step of the workflow', () => {
    execFileSync('bash', ['-n', new URL('.ci/run', root).pathname]);
    expect(statSync(new URL('.ci/run', root)).mode & 0o111).not.toBe(0);
    const workflow = parse(text('.github/workflows/ci.yml')) as {
      permissions: unknown;
      jobs: { check: { steps: { run?: string }[] } };
    };
    expect(workflow.jobs.check.steps.flatMap(({ run }) => run ?? [])).toEqual(['bash .ci/run']);
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });

  test('runs only commands that package.json has, or may have', () => {
    const scripts = [
      ...text('.ci/run')
        .replaceAll(/^\s*#.*$/gm, '')
        .matchAll(/npm (?:run (--if-present )?)?(\w+)/g),
    ]
      .filter(([, optional, name]) => !optional && name !== 'ci' && name !== 'exec')
      .map(([, , name = '']) => name);
    expect(scripts).toEqual(expect.arrayContaining(['typecheck', 'lint', 'test']));
    expect(scripts.filter((name) => !(name in (manifest.scripts ?? {})))).toEqual([]);
  });
});

test('the licence is Apache 2.0', () => {
  expect(text('LICENSE')).toMatch(/Apache License\s+Version 2\.0, January 2004/);
  expect(text('LICENSE')).toContain('The Vestibule Authors');
  expect(manifest.license).toBe('Apache-2.0');
});
