/** Connections to a real Postgres that speaks TLS only and has an authority of its own; over ::1 and a socket too. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectDatabase } from '../../db/client.ts';
import { freePort } from '../support/server-process.ts';

const bin = '/usr/lib/postgresql/15/bin';
const possible = existsSync(bin) && process.geteuid?.() === 0;

describe.skipIf(!possible)('a TLS-only Postgres (needs root and Debian’s Postgres 15)', () => {
  const dir = mkdtempSync(join(tmpdir(), 'vestibule-tls-'));
  const data = join(dir, 'data');
  const asPostgres = (...args: string[]) =>
    execFileSync('runuser', ['-u', 'postgres', '--', ...args], { cwd: '/', stdio: 'ignore' });
  let port: number;

  beforeAll(async () => {
    port = await freePort();
    chmodSync(dir, 0o755);
    const openssl = (line: string) => execFileSync('openssl', line.split(' '), { cwd: dir, stdio: 'ignore' });
    openssl('req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority');
    openssl('req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=localhost');
    writeFileSync(join(dir, 'ext'), 'subjectAltName=DNS:localhost');
    openssl('x509 -req -in s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out s.crt -days 2 -extfile ext');
    chmodSync(join(dir, 's.key'), 0o600);
    execFileSync('chown', ['postgres', dir, join(dir, 's.key'), join(dir, 's.crt')]);
    asPostgres(join(bin, 'initdb'), '-D', data, '-U', 'u', '--auth=trust', '-N');
    writeFileSync(join(data, 'pg_hba.conf'), 'local all all trust\nhostssl all all all trust\n');
    const tls = `-c ssl=on -c ssl_cert_file=${dir}/s.crt -c ssl_key_file=${dir}/s.key`;
    const options = `-p ${port} -k ${dir} -c listen_addresses=127.0.0.1,::1 ${tls}`;
    asPostgres(join(bin, 'pg_ctl'), '-D', data, '-w', '-l', join(dir, 'log'), '-o', options, 'start');
  });
  afterAll(() => {
    asPostgres(join(bin, 'pg_ctl'), '-D', data, '-m', 'fast', '-w', 'stop');
    rmSync(dir, { recursive: true, force: true });
  });

  test.each([
    ['localhost:PORT/postgres', false],
    ['localhost:PORT/postgres?sslmode=prefer', true],
    ['[::1]:PORT/postgres?sslmode=require', true],
    ['127.0.0.1:PORT/postgres?sslmode=verify-ca&sslrootcert=CA', true],
    ['127.0.0.1:PORT/postgres?sslmode=verify-full&sslrootcert=CA', false],
    ['localhost:PORT/postgres?sslmode=verify-full&sslrootcert=CA', true],
    ['localhost:PORT/postgres?sslmode=verify-full', false],
    ['/postgres?port=PORT&host=DIR', true],
  ])('%s: %s', async (rest, accepted) => {
    const uri = rest.replace('PORT', String(port)).replace('CA', join(dir, 'ca.crt')).replace('DIR', dir);
    const db = connectDatabase({ url: `postgresql://u@${uri}`, poolSize: 1 });
    const answered = await db.ping().then(
      () => true,
      () => false,
    );
    void db.close();
    expect(answered).toBe(accepted);
  });
});
