/**
 * The straight line to compare with: the same operations in a Fastify handler each, with the fewest statements and no
 * layers. One durable write per step, one signature per token, one hash at a time per core, one Redis call per request for
 * the same limits. No machine, no history, no audit, no outbox, nothing that survives a half-finished sign-up.
 */
import { hash, randomBytes, randomInt } from 'node:crypto';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { compactVerify, generateKeyPair, SignJWT } from 'jose';
import postgres from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import { hmacSha256 } from '../src/kernel/crypto/hmac.ts';
import { plainHasher } from './plain-hashing.ts';

const TABLES = `
create table otps (id uuid primary key, phone text not null, code_hash text not null, attempts int not null default 0,
  expires_at timestamptz not null, used_at timestamptz);
create table accounts (id uuid primary key, phone text unique not null, status text not null, tier text not null,
  password_hash text, first_name text, last_name text, birth_date date, created_at timestamptz not null);
create table sessions (id uuid primary key, account_id uuid not null references accounts(id), refresh_hash text not null,
  generation int not null, created_at timestamptz not null, rotated_at timestamptz not null,
  expires_at timestamptz not null, revoked_at timestamptz);
create index on sessions (account_id);`;

/** Counts once per key and window; answers the first key that is full. */
const LIMIT = `
for i, key in ipairs(KEYS) do
  local n = redis.call('INCR', key)
  if n == 1 then redis.call('PEXPIRE', key, ARGV[i * 2]) end
  if n > tonumber(ARGV[i * 2 - 1]) then return i end
end
return 0`;

const {
  BASELINE_DATABASE_URL = '',
  BASELINE_REDIS_URL,
  BASELINE_PORT,
  JWT_ALGORITHM = 'RS256',
} = process.env;
const pepper = Buffer.from(process.env.PASSWORD_PEPPER ?? '', 'hex');
const sql = postgres(BASELINE_DATABASE_URL, {
  max: 2,
  prepare: true,
  fetch_types: false,
  onnotice: () => {},
});
await sql.unsafe(TABLES).simple();
const redis = BASELINE_REDIS_URL ? new Redis(BASELINE_REDIS_URL, { enableAutoPipelining: true }) : null;
redis?.defineCommand('hit', { lua: LIMIT });
const hasher = plainHasher(pepper);
const { privateKey, publicKey } = await generateKeyPair(JWT_ALGORITHM);
const key = randomBytes(32);
const sha = (text: string) => hash('sha256', text, 'base64url');
const run = (text: string, params: unknown[]) => sql.unsafe(text, params as never[], { prepare: true });

type Hit = (keys: number, ...rest: (string | number)[]) => Promise<number>;
const local = new Map<string, number>();
/** The limits the service applies to the same request, counted in fixed windows. */
async function limit(...keys: [name: string, windowMs: number][]): Promise<void> {
  if (redis) {
    const hit = (redis as unknown as { hit: Hit }).hit.bind(redis);
    const args = keys.flatMap(([, windowMs]) => [1e9, windowMs]);
    if ((await hit(keys.length, ...keys.map(([name]) => name), ...args)) > 0) throw new Error('rate limited');
    return;
  }
  for (const [name] of keys) local.set(name, (local.get(name) ?? 0) + 1);
}
const MINUTE = 60_000;
const ofNetwork = (ip: string) => [`n:${hmacSha256(key, ip).toString('base64url')}`, MINUTE] as const;
const ofPhone = (phone: string, ip: string): [string, number][] => {
  const p = hmacSha256(key, phone).toString('base64url');
  return [
    [...ofNetwork(ip)],
    [`cool:${p}`, 1],
    [`burst:${p}`, 5 * MINUTE],
    [`day:${p}`, 1440 * MINUTE],
    [`sn:${ip}`, 60 * MINUTE],
    [`range:${phone.slice(0, 9)}`, 10 * MINUTE],
    [`country:${phone.slice(0, 3)}`, 60 * MINUTE],
    ['all', MINUTE],
    ['daily', 1440 * MINUTE],
  ];
};

const sign = (accountId: string, sessionId: string, tier: string) =>
  new SignJWT({ sub: accountId, sid: sessionId, tier, jti: uuidv7() })
    .setProtectedHeader({ alg: JWT_ALGORITHM, kid: '1', typ: 'at+jwt' })
    .setIssuedAt()
    .setExpirationTime('15m')
    .setIssuer('bench')
    .setAudience('bench')
    .sign(privateKey);
const verified = new Map<string, { sid: string }>();
async function verify(token: string): Promise<{ sid: string }> {
  const known = verified.get(token);
  if (known) return known;
  const { payload } = await compactVerify(token, publicKey, { algorithms: [JWT_ALGORITHM] });
  const claims = JSON.parse(new TextDecoder().decode(payload)) as { sid: string };
  verified.set(token, claims);
  return claims;
}

const text = { type: 'string', maxLength: 1024 };
const body = (...names: string[]) => ({
  body: {
    type: 'object',
    additionalProperties: false,
    required: names,
    properties: Object.fromEntries(names.map((n) => [n, text])),
  },
});
const phoneOf = (raw: string): string => {
  if (!/^\+[1-9]\d{7,14}$/.test(raw))
    throw Object.assign(new Error('not a phone number'), { statusCode: 400 });
  return raw;
};
type Body = Record<string, string>;
const refused = (): Error => Object.assign(new Error('refused'), { statusCode: 401 });
const app = Fastify({ logger: false });

const newOtp = async (phone: string) => {
  const [id, code] = [uuidv7(), String(randomInt(1_000_000)).padStart(6, '0')];
  await run('insert into otps (id, phone, code_hash, expires_at) values ($1, $2, $3, $4::timestamptz)', [
    id,
    phone,
    sha(id + code),
    new Date(Date.now() + 300_000).toISOString(),
  ]);
  return { id, code };
};
for (const path of ['/v1/auth/send-otp', '/v1/auth/signup/phone']) {
  app.post(path, { schema: body('phone') }, async (request, reply) => {
    const phone = phoneOf((request.body as Body).phone ?? '');
    await limit(...ofPhone(phone, request.ip));
    const { id, code } = await newOtp(phone);
    // Stands in for the message: the load has to know the code.
    reply.header('x-bench-code', code);
    return { status: 'otp_sent', flow_id: id, flow_token: id, expires_in: 300 };
  });
}

const SPEND = `update otps set used_at = $3::timestamptz where id = $1 and code_hash = $2 and used_at is null
  and attempts < 5 and expires_at > $3::timestamptz returning phone`;
const newSession = () => {
  const [id, secret] = [uuidv7(), randomBytes(32).toString('base64url')];
  const expires = new Date(Date.now() + 14 * 86_400_000).toISOString();
  return { id, refresh: `${id}.${secret}`, hash: sha(secret), expires };
};
const OPEN = `insert into sessions (id, account_id, refresh_hash, generation, created_at, rotated_at, expires_at)`;
const tokensOf = async (account: { id: string; tier: string }, session: ReturnType<typeof newSession>) => ({
  access_token: await sign(account.id, session.id, account.tier),
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: session.refresh,
  user_id: account.id,
  session_id: session.id,
});
app.post('/v1/auth/verify-otp', { schema: body('phone', 'otp', 'flow_token') }, async (request) => {
  const { otp = '', flow_token = '' } = request.body as Body;
  await limit([...ofNetwork(request.ip)], [`cn:${request.ip}`, 60 * MINUTE]);
  const [session, now] = [newSession(), new Date().toISOString()];
  const [account] = await run(
    `with c as (${SPEND}), a as (select a.id, a.tier from accounts a join c on c.phone = a.phone where a.status = 'active'),
     s as (${OPEN} select $4::uuid, a.id, $5, 1, $3::timestamptz, $3::timestamptz, $6::timestamptz from a returning 1)
     select id, tier from a`,
    [flow_token, sha(flow_token + otp), now, session.id, session.hash, session.expires],
  );
  if (!account) {
    await run('update otps set attempts = attempts + 1 where id = $1', [flow_token]);
    throw refused();
  }
  return { valid: true, ...(await tokensOf(account as never, session)) };
});
app.post('/v1/auth/signup/verify-otp', { schema: body('phone', 'otp', 'flow_token') }, async (request) => {
  const { otp = '', flow_token = '' } = request.body as Body;
  await limit([...ofNetwork(request.ip)], [`cn:${request.ip}`, 60 * MINUTE]);
  const id = uuidv7();
  const [made] = await run(
    `with c as (${SPEND}) insert into accounts (id, phone, status, tier, created_at)
     select $4::uuid, c.phone, 'active', 'UNVERIFIED', $3::timestamptz from c returning id`,
    [flow_token, sha(flow_token + otp), new Date().toISOString(), id],
  );
  if (!made) throw refused();
  return {
    status: 'preuser_created',
    temp_token: `${id}.${hmacSha256(key, id).toString('base64url')}`,
  };
});
const holderOf = (header: string | undefined): string => {
  const [id = '', mac] = (header ?? '').replace('Bearer ', '').split('.');
  if (mac !== hmacSha256(key, id).toString('base64url')) throw refused();
  return id;
};
app.post('/v1/auth/signup/set-password', { schema: body('password') }, async (request) => {
  const id = holderOf(request.headers.authorization);
  await limit([...ofNetwork(request.ip)]);
  const hash = await hasher.hash((request.body as Body).password ?? '');
  await run('update accounts set password_hash = $2 where id = $1', [id, hash]);
  return { status: 'credentials_set' };
});
app.post(
  '/v1/auth/signup/profile',
  { schema: body('first_name', 'last_name', 'date_of_birth') },
  async (request) => {
    const id = holderOf(request.headers.authorization);
    await limit([...ofNetwork(request.ip)]);
    const { first_name, last_name, date_of_birth } = request.body as Body;
    const session = newSession();
    await run(
      `with a as (update accounts set first_name = $2, last_name = $3, birth_date = $4::date, tier = 'LIMITED' where id = $1::uuid)
       ${OPEN} values ($5::uuid, $1::uuid, $6, 1, $7::timestamptz, $7::timestamptz, $8::timestamptz)`,
      [
        id,
        first_name,
        last_name,
        date_of_birth,
        session.id,
        session.hash,
        new Date().toISOString(),
        session.expires,
      ],
    );
    return { auth_status: 'AUTHENTICATED', ...(await tokensOf({ id, tier: 'LIMITED' }, session)) };
  },
);
app.post('/v1/auth/login', { schema: body('phone', 'password') }, async (request) => {
  const { phone = '', password = '' } = request.body as Body;
  await limit([...ofNetwork(request.ip)], [`pl:${request.ip}`, 15 * MINUTE], [`pi:${phone}`, 15 * MINUTE]);
  const [account] = await run('select id, tier, status, password_hash from accounts where phone = $1', [
    phone,
  ]);
  const ok = await hasher.verify((account?.password_hash as string) ?? null, password);
  if (!account || !ok || account.status !== 'active') throw refused();
  const session = newSession();
  await run(`${OPEN} values ($1, $2, $3, 1, $4::timestamptz, $4::timestamptz, $5::timestamptz)`, [
    session.id,
    account.id,
    session.hash,
    new Date().toISOString(),
    session.expires,
  ]);
  return tokensOf(account as never, session);
});
app.post('/v1/auth/refresh', { schema: body('refresh_token') }, async (request) => {
  const [id = '', secret = ''] = ((request.body as Body).refresh_token ?? '').split('.');
  await limit([...ofNetwork(request.ip)], [`r:${id}`, MINUTE]);
  const next = randomBytes(32).toString('base64url');
  const [row] = await run(
    `update sessions s set refresh_hash = $3, generation = s.generation + 1, rotated_at = $4::timestamptz from accounts a
     where s.id = $1 and s.refresh_hash = $2 and s.revoked_at is null and s.expires_at > $4::timestamptz
       and a.id = s.account_id and a.status = 'active' returning a.id, a.tier`,
    [id, sha(secret), sha(next), new Date().toISOString()],
  );
  if (!row) throw refused();
  return {
    access_token: await sign(row.id, id, row.tier),
    token_type: 'Bearer',
    expires_in: 900,
    refresh_token: `${id}.${next}`,
  };
});
app.get('/v1/users/me', async (request) => {
  const { sid } = await verify((request.headers.authorization ?? '').slice(7));
  const [[row]] = await Promise.all([
    run(
      `select a.id as user_id, a.tier as account_tier, a.status, a.phone, a.first_name, a.last_name, a.birth_date, a.created_at
       from sessions s join accounts a on a.id = s.account_id
       where s.id = $1 and s.revoked_at is null and s.expires_at > $2::timestamptz and a.status = 'active'`,
      [sid, new Date().toISOString()],
    ),
    limit([...ofNetwork(request.ip)], [`u:${sid}`, MINUTE]),
  ]);
  if (!row) throw refused();
  return row;
});
await app.listen({ host: '127.0.0.1', port: Number(BASELINE_PORT) });
