/** Reads where Postgres is from a connection URI, as libpq understands it. What cannot be honoured is an error, never dropped. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/** `message` is a reason that can follow the name of a setting; it contains no value but names of parameters. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
}

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

type Tls = {
  rejectUnauthorized: boolean;
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
  servername?: string;
  checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined;
};

/** Options of the driver. A socket is in `path`; several hosts are tried in turn. */
export type Address = {
  host: string[];
  port: number[];
  path?: string;
  database?: string;
  user?: string;
  pass?: string;
  ssl: false | 'prefer' | Tls;
  connect_timeout?: number;
  target_session_attrs?: 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby';
  connection: Record<string, string>;
};

const URI = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?$/i;

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AddressError('has a % that does not begin an encoded character');
  }
};

function portOf(text: string | undefined): number {
  if (text === undefined || text === '') return 5432;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new AddressError('has a port that is no number from 1 to 65535');
  return port;
}

/** A name, an IP address without brackets, or the folder of a socket. @throws {AddressError} */
export function assertHost(host: string): string {
  if (host.startsWith('/') || isIP(host) !== 0 || HOST_NAME.test(host)) return host;
  throw new AddressError('names a host that is no host name, no IP address and no folder of a socket');
}

/** `name`, `name:1`, `[::1]:1`, an encoded folder. */
function hostAndPort(text: string): { host: string; port: string | undefined } {
  const [, address, name = '', port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  if (address !== undefined && isIP(address) !== 6) {
    throw new AddressError('has brackets around what is no IPv6 address');
  }
  return { host: address ?? decoded(name), port };
}

function file(parameter: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new AddressError(`has ${parameter} name a file that cannot be read`);
  }
}

function tlsOf(query: Map<string, string>, hosts: string[]): Address['ssl'] {
  const flag = query.get('ssl');
  const mode = query.get('sslmode') ?? (flag === 'true' || flag === '1' ? 'require' : 'disable');
  if (!(SSL_MODES as readonly string[]).includes(mode)) {
    throw new AddressError(`has an unknown sslmode; it must be one of ${SSL_MODES.join(', ')}`);
  }
  const root = query.get('sslrootcert');
  const [cert, key] = [query.get('sslcert'), query.get('sslkey')];
  if ((cert === undefined) !== (key === undefined))
    throw new AddressError('needs sslcert and sslkey together');
  // libpq never uses TLS on a socket.
  if (mode === 'disable' || hosts.some((host) => host.startsWith('/'))) return false;
  // A certificate of ours is only shown when TLS is certain.
  if ((mode === 'allow' || mode === 'prefer') && cert === undefined) return 'prefer';
  const verified =
    mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && root !== undefined);
  const [host = ''] = hosts;
  return {
    rejectUnauthorized: verified,
    ...(root === undefined || root === 'system' ? {} : { ca: file('sslrootcert', root) }),
    ...(cert === undefined ? {} : { cert: file('sslcert', cert) }),
    ...(key === undefined ? {} : { key: file('sslkey', key) }),
    ...(hosts.length === 1 && isIP(host) === 0 ? { servername: host } : {}),
    checkServerIdentity: (_name, certificate) => {
      if (mode !== 'verify-full' && root !== 'system') return undefined;
      // The driver does not say which of several hosts answered; each of them is trusted by the setting.
      const failures = hosts.map((name) => checkServerIdentity(name, certificate));
      return failures.includes(undefined) ? undefined : failures[0];
    },
  };
}

/** Parameters that need nothing done when they have one of these values, and cannot be honoured otherwise. */
const ONLY: Record<string, { values: string[]; reason: string }> = {
  schema: { values: ['public'], reason: 'has schema, which must be public' },
  pgbouncer: {
    values: ['false'],
    reason: 'has pgbouncer, which is not supported: use a pooler in session mode, without this parameter',
  },
  channel_binding: {
    values: ['disable', 'prefer'],
    reason: 'has channel_binding, which must be disable or prefer',
  },
  gssencmode: { values: ['disable', 'prefer'], reason: 'has gssencmode, which must be disable or prefer' },
  ssl: { values: ['true', '1', 'false', '0'], reason: 'has ssl, which must be true or false' },
};
const SESSION_ATTRIBUTES = ['read-write', 'read-only', 'primary', 'standby', 'prefer-standby'];
const KNOWN = new Set([
  ...['host', 'port', 'user', 'password', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'],
  ...['application_name', 'connect_timeout', 'target_session_attrs', 'options', ...Object.keys(ONLY)],
]);

/** @throws {AddressError} */
export function addressOf(uri: string): Address {
  const match = URI.exec(uri);
  if (!match) throw new AddressError('must be a postgresql:// URL');
  const [, login = '', authority = '', path = '', search = ''] = match;
  const query = new Map(new URLSearchParams(search));
  for (const [name, value] of query) {
    if (!KNOWN.has(name))
      throw new AddressError(`has the parameter ${name.slice(0, 40)}, which is not understood`);
    const only = ONLY[name];
    if (only && !only.values.includes(value)) throw new AddressError(only.reason);
  }
  const given = query.has('host')
    ? (query.get('host') ?? '').split(',').map((host) => ({ host, port: undefined }))
    : authority.split(',').map(hostAndPort);
  const ports = query.get('port')?.split(',') ?? [];
  const host = given.map((one) => assertHost(one.host === '' ? 'localhost' : one.host));
  const port = given.map((one, i) => portOf(one.port ?? ports[i] ?? ports[0]));
  const folder = host.find((name) => name.startsWith('/'));
  if (folder !== undefined && host.length > 1) throw new AddressError('has a socket beside other hosts');
  const timeout = query.get('connect_timeout');
  if (timeout !== undefined && !/^\d{1,4}$/.test(timeout)) {
    throw new AddressError('has a connect_timeout that is no number of seconds');
  }
  const attributes = query.get('target_session_attrs') ?? 'any';
  if (![...SESSION_ATTRIBUTES, 'any'].includes(attributes)) {
    throw new AddressError('has an unknown target_session_attrs');
  }
  const colon = login.indexOf(':');
  const user = decoded(colon < 0 ? login : login.slice(0, colon)) || query.get('user');
  const pass = decoded(colon < 0 ? '' : login.slice(colon + 1)) || query.get('password');
  const database = decoded(path) || query.get('dbname');
  const passed = ['application_name', 'options'].flatMap((name) =>
    query.has(name) ? [[name, query.get(name) as string]] : [],
  );
  return {
    host,
    port,
    ...(folder === undefined ? {} : { path: `${folder.replace(/\/$/, '')}/.s.PGSQL.${port[0]}` }),
    ...(database ? { database } : {}),
    ...(user ? { user } : {}),
    ...(pass ? { pass } : {}),
    ssl: tlsOf(query, host),
    ...(timeout === undefined || timeout === '0' ? {} : { connect_timeout: Number(timeout) }),
    ...(attributes === 'any' ? {} : { target_session_attrs: attributes as 'primary' }),
    connection: Object.fromEntries(passed),
  };
}
