/** Where Postgres is, as people write it: understood exactly, or refused with the name of what is wrong. */
import { describe, expect, test } from 'vitest';
import { addressOf } from '../../db/address.ts';
import { ConfigError, loadConfig } from '../../src/config/index.ts';

const parts = (env: Record<string, string>) =>
  loadConfig({ DB_USER: 'u', DB_PASS: 'p@ss/w:rd', DB_NAME: 'n', ...env }).database.url ?? '';

describe('hosts', () => {
  test.each([
    ['postgresql://u:p@[::1]:5433/n', ['::1'], [5433], undefined],
    ['postgresql://u@db/n', ['db'], [5432], undefined],
    ['postgresql://u@a:1,b:2,c/n', ['a', 'b', 'c'], [1, 2, 5432], undefined],
    ['postgresql://u@/n?host=/run/postgresql', ['/run/postgresql'], [5432], '/run/postgresql/.s.PGSQL.5432'],
    ['postgresql:///n?host=/run/postgresql&port=6', ['/run/postgresql'], [6], '/run/postgresql/.s.PGSQL.6'],
    ['postgresql://u@%2Frun%2Fpostgresql/n', ['/run/postgresql'], [5432], '/run/postgresql/.s.PGSQL.5432'],
  ])('%s', (uri, host, port, path) => {
    const address = addressOf(uri);
    expect(address).toMatchObject({ host, port, database: 'n' });
    expect(address.path).toBe(path);
  });

  test.each([
    [{ DB_HOST: '::1' }, ['::1'], [5432]],
    [{ DB_HOST: '[::1]', DB_PORT: '6' }, ['::1'], [6]],
    [{ DB_HOST: 'a,b' }, ['a', 'b'], [5432, 5432]],
    [{ DB_HOST: '/run/postgresql', DB_PORT: '6' }, ['/run/postgresql'], [6]],
  ])('%o', (env, host, port) => {
    expect(addressOf(parts(env))).toMatchObject({ host, port, user: 'u', pass: 'p@ss/w:rd', database: 'n' });
  });
});

describe('what cannot be honoured names its variable', () => {
  const cases: [env: Record<string, string>, variable: string][] = [
    [{ DB_HOST: 'db:5433' }, 'DB_HOST'],
    [{ DB_HOST: 'a b' }, 'DB_HOST'],
    [{ DB_HOST: '/run/postgresql,db' }, 'DB_HOST'],
    [{ DB_HOST: 'db', DB_SSLMODE: 'on' }, 'DB_SSLMODE'],
    [{ DB_HOST: 'db', PGSSLMODE: 'on' }, 'PGSSLMODE'],
    [{ DB_HOST: 'db', DB_SSLMODE: 'verify-ca', DB_SSLROOTCERT: '/no/file' }, 'DB_SSLMODE'],
    ...[
      'u@db:99999/n',
      'u@[db]/n',
      'u@db/n?sslmode=full',
      'u@db/n?schema=tenant',
      'u@db/n?pgbouncer=true',
      'u@db/n?channel_binding=require',
      'u@db/n?connect_timeout=soon',
      'u@db/n?sslcert=/a',
      'u@db/n?unknown_thing=1',
      'u@db/n?sslmode=verify-full&sslrootcert=/no/file',
      'u:%zz@db/n',
    ].map((rest): [Record<string, string>, string] => [
      { DATABASE_URL: `postgresql://${rest}` },
      'DATABASE_URL',
    ]),
  ];
  test.each(cases)('%o', (env, variable) => {
    let error: unknown;
    try {
      parts(env);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).variable).toBe(variable);
  });
});

test('parameters that are understood reach the driver', () => {
  const uri = 'postgresql://u@db/n?application_name=me&connect_timeout=7&schema=public&pgbouncer=false';
  expect(addressOf(uri)).toMatchObject({ connect_timeout: 7, connection: { application_name: 'me' } });
  expect(addressOf('postgresql://u@db/n').ssl).toBe(false);
  expect(addressOf('postgresql://u@db/n?sslmode=prefer').ssl).toBe('prefer');
  expect(addressOf('postgresql://u@db/n?sslmode=require').ssl).toMatchObject({ rejectUnauthorized: false });
  expect(addressOf(parts({ DB_HOST: 'db', DB_SSLMODE: 'verify-full' })).ssl).toMatchObject({
    rejectUnauthorized: true,
    servername: 'db',
  });
});
