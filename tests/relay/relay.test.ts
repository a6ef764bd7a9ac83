/** The relay on a real database: everything is delivered, in order per account, and nothing holds anything else up. */
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { createOutbox, type OutboxItem } from '../../db/outbox.ts';
import { createReportStore } from '../../db/reports.ts';
import { DeliveryError } from '../../src/adapters/ports.ts';
import type { RelayLog, TopicHandler } from '../../src/engine/delivery.ts';
import { createRelay, type Relay } from '../../src/engine/relay.ts';
import { mint } from '../../src/http/request-context.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { type Connected, connected } from '../support/connected.ts';
import { createDatabase } from '../support/database.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';

const SECOND = 1000;
const quiet: RelayLog = { warn: () => {}, error: () => {} };

describe('the outbox', () => {
  let db: Database;
  let sql: Sql;
  let close: Connected['close'];
  beforeAll(async () => {
    ({ db, sql, close } = await connected(createDatabase()));
  });
  beforeEach(() => sql`delete from outbox`);
  afterAll(() => close());

  const clock = systemClock();
  const enqueue = async (id: string, row: { topic?: string; accountId?: string; seq?: number } = {}) => {
    const at = new Date(clock.now());
    await sql`insert into outbox (id, topic, account_id, account_seq, payload, status, due_at, created_at)
      values (${id}, ${row.topic ?? 'test'}, ${row.accountId ?? null}, ${row.seq ?? null}, '{}', 'pending',
        ${at}, ${at})`;
  };
  const relayOf = (handler: TopicHandler, log = quiet): Relay =>
    createRelay({
      outbox: createOutbox(db),
      clock,
      handlers: { test: handler, other: handler, 'mail.send': handler },
      sweep: async () => {},
      log,
    });
  const row = async (id: string) => (await sql`select * from outbox where id = ${id}`)[0];

  test('what was delivered but not written down is delivered again, with the same id', async () => {
    await enqueue('flow:1:0');
    const seen: string[] = [];
    // The process dies between the provider's answer and the note of it: claimed, and never finished.
    const [claimed] = await createOutbox(db).claim(new Date(clock.now()), 10);
    expect(claimed?.id).toBe('flow:1:0');
    const relay = relayOf(async ({ id }) => void seen.push(id));
    await relay.drain();
    expect(seen).toEqual([]);
    clock.advance(31 * SECOND);
    await relay.drain();
    expect(seen).toEqual(['flow:1:0']);
    expect(await row('flow:1:0')).toMatchObject({ status: 'done', attempts: 2 });
  });

  test('a relay that comes back after its lease ended changes nothing for the one that took over', async () => {
    await enqueue('late');
    const outbox = createOutbox(db);
    const [first] = await outbox.claim(new Date(clock.now()), 1);
    clock.advance(31 * SECOND);
    const [second] = await outbox.claim(new Date(clock.now()), 1);
    await outbox.retry(first as OutboxItem, 'too late', new Date(clock.now()));
    await outbox.dead(first as OutboxItem, 'too late', new Date(clock.now()));
    expect(await outbox.claim(new Date(clock.now()), 1)).toEqual([]);
    await outbox.done(second as OutboxItem, new Date(clock.now()));
    expect(await row('late')).toMatchObject({ status: 'done', attempts: 2 });
  });

  test('items of one account arrive in their order, whatever order they were committed in', async () => {
    const [a, b] = [mint(), mint()];
    for (const seq of [3, 1, 5, 2, 4]) {
      await enqueue(`a${seq}`, { accountId: a, seq });
      await enqueue(`b${seq}`, { accountId: b, seq });
    }
    const seen: string[] = [];
    await relayOf(async ({ id }) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      seen.push(id);
    }).drain();
    expect(seen.filter((id) => id.startsWith('a'))).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
    expect(seen.filter((id) => id.startsWith('b'))).toEqual(['b1', 'b2', 'b3', 'b4', 'b5']);
  });

  test('a failing item is tried ten times with growing pauses, then it is dead and said so', async () => {
    await enqueue('poison');
    const times: number[] = [];
    const errors: object[] = [];
    const relay = relayOf(
      async () => {
        times.push(clock.now());
        throw new Error('provider says no');
      },
      { warn: () => {}, error: (details) => void errors.push(details) },
    );
    for (let i = 0; i < 40 && (await row('poison'))?.status === 'pending'; i++) {
      await relay.drain();
      const due = (await row('poison'))?.due_at as Date;
      clock.advance(Math.max(0, due.getTime() - clock.now()));
    }
    expect(times).toHaveLength(10);
    const pauses = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    pauses.forEach((pause, i) => {
      const full = Math.min(600 * SECOND, SECOND * 2 ** i);
      expect(pause).toBeGreaterThanOrEqual(full / 2);
      expect(pause).toBeLessThanOrEqual(full + 2 * SECOND);
    });
    expect(await row('poison')).toMatchObject({ status: 'dead', last_error: 'provider says no' });
    expect(errors).toMatchObject([{ id: 'poison', attempts: 10 }]);
    expect(await createReportStore(db).health(new Date(clock.now()))).toMatchObject({
      outboxPending: 0,
      outboxDead: 1,
    });
  });

  test('a mail outlives an afternoon without its provider, and not a day', async () => {
    await enqueue('notice', { topic: 'mail.send' });
    const relay = relayOf(async () => {
      throw new Error('provider is away');
    });
    const from = clock.now();
    const hours = () => (clock.now() - from) / (3600 * SECOND);
    let given = 0;
    while (hours() < 30 && given === 0) {
      await relay.drain();
      const now = await row('notice');
      if (now?.status === 'dead') given = hours();
      const due = now?.due_at as Date | undefined;
      clock.advance(Math.max(1, (due?.getTime() ?? 0) - clock.now()));
    }
    expect(given).toBeGreaterThan(23.5);
    expect(given).toBeLessThan(25);
  });

  test('what can never succeed is dead at once', async () => {
    await enqueue('hopeless');
    await enqueue('nobody', { topic: 'a topic nobody handles' });
    await relayOf(async () => {
      throw new DeliveryError('no such number', false);
    }).drain();
    expect(await row('hopeless')).toMatchObject({
      status: 'dead',
      attempts: 1,
      last_error: 'no such number',
    });
    expect(await row('nobody')).toMatchObject({ status: 'dead', attempts: 1 });
  });

  test('a failing item stops no other: neither another account nor, once dead, its own', async () => {
    const [a, b] = [mint(), mint()];
    await enqueue('a1', { accountId: a, seq: 1 });
    await enqueue('a2', { accountId: a, seq: 2 });
    await enqueue('b1', { accountId: b, seq: 1 });
    await enqueue('free');
    const seen: string[] = [];
    const relay = relayOf(async ({ id, attempts }) => {
      seen.push(id);
      if (id === 'a1') throw new DeliveryError('no', attempts < 2);
    });
    await relay.drain();
    expect(new Set(seen)).toEqual(new Set(['a1', 'b1', 'free']));
    clock.advance(3 * SECOND);
    await relay.drain();
    expect(seen.slice(3)).toEqual(['a1', 'a2']);
  });

  test('a slow provider keeps nobody else waiting', async () => {
    await enqueue('slow');
    let release = () => {};
    const blocked = new Promise<void>((resolve) => {
      release = resolve;
    });
    const seen: string[] = [];
    const relay = relayOf(async ({ id }) => {
      if (id === 'slow') await blocked;
      seen.push(id);
    });
    const draining = relay.drain();
    await expect.poll(async () => (await row('slow'))?.attempts).toBe(1);
    await enqueue('quick');
    relay.nudge();
    await expect.poll(() => seen).toEqual(['quick']);
    release();
    await draining;
    expect(seen).toEqual(['quick', 'slow']);
  });

  test('two relays share the work and deliver nothing twice', async () => {
    const ids = Array.from({ length: 200 }, (_, i) => `item${i}`);
    await Promise.all(ids.map((id) => enqueue(id)));
    const seen: string[] = [];
    const shares = [0, 0];
    const relays = shares.map((_, i) =>
      relayOf(async ({ id }) => {
        shares[i] = (shares[i] ?? 0) + 1;
        // Neither goes on before the other one has begun.
        await expect.poll(() => shares[1 - i], { timeout: 60_000 }).toBeGreaterThan(0);
        seen.push(id);
      }),
    );
    await Promise.all(relays.map((relay) => relay.drain()));
    expect([...seen].sort()).toEqual([...ids].sort());
    expect(Math.min(...shares)).toBeGreaterThan(0);
  });

  test('what its outcome cannot be written for stays to be delivered again, and the rest goes on', async () => {
    await enqueue('unnoted');
    await enqueue('noted');
    const outbox = createOutbox(db);
    const relay = createRelay({
      outbox: {
        ...outbox,
        done: (item, now) =>
          item.id === 'unnoted' ? Promise.reject(new Error('no database')) : outbox.done(item, now),
      },
      clock,
      handlers: { test: async () => {} },
      sweep: () => Promise.reject(new Error('the sweep fails too')),
      log: quiet,
    });
    await relay.drain();
    expect(await row('noted')).toMatchObject({ status: 'done' });
    expect(await row('unnoted')).toMatchObject({ status: 'pending', attempts: 1 });
  });
});

describe('timers and codes', () => {
  let app: TestApp;
  let sql: Sql;
  beforeAll(async () => {
    app = await createTestApp({ env: LIMITS_OFF });
    sql = postgres(app.databaseUrl, { max: 2, onnotice: () => {} });
  });
  afterAll(async () => {
    await sql.end();
    await app.close();
  });

  const DAY = 86_400_000;
  const start = async () => {
    app.clock.advance(2 * SECOND);
    const phone = freshPhone();
    const { body } = await app.call('POST', '/v1/auth/signup/phone', { body: { phone } });
    return { phone, flowId: body.flow_id as string, token: body.flow_token as string };
  };
  const stateOf = async (id: string) =>
    (await sql`select state, status, next_due_at from flows where id = ${id}`)[0];

  test('a due timer expires its flow once, on whichever of two sweepers comes first', async () => {
    const { flowId } = await start();
    await app.relay.drain();
    expect(await stateOf(flowId)).toMatchObject({ state: 'UNVERIFIED.code_sent' });
    const other = await createTestApp({
      env: LIMITS_OFF,
      databaseUrl: app.databaseUrl,
      secrets: app.secrets,
    });
    app.clock.advance(30 * DAY + SECOND);
    other.clock.advance(app.clock.offset());
    await Promise.all([app.relay.drain(), other.relay.drain()]);
    await other.close();
    expect(await stateOf(flowId)).toMatchObject({ state: 'expired', status: 'done', next_due_at: null });
    const steps = await sql`select event, refused, actor from flow_steps where flow_id = ${flowId}
      and event = 'EXPIRE'`;
    expect([...steps]).toEqual([{ event: 'EXPIRE', refused: false, actor: 'system' }]);
  });

  test('a flow that cannot be expired holds up neither the others nor the outbox', async () => {
    const [broken, newer, healthy] = [await start(), await start(), await start()];
    await sql`update flows set snapshot = '{}' where id = ${broken.flowId}`;
    await sql`update flows set machine_version = 99 where id = ${newer.flowId}`;
    app.clock.advance(30 * DAY + SECOND);
    await app.relay.drain();
    expect(await stateOf(broken.flowId)).toMatchObject({ status: 'quarantined' });
    expect(await stateOf(newer.flowId)).toMatchObject({ status: 'active', state: 'UNVERIFIED.code_sent' });
    expect(await stateOf(healthy.flowId)).toMatchObject({ state: 'expired' });
    await start();
    await app.relay.drain();
    expect(await sql`select 1 from outbox where status = 'pending' and due_at <= now()`).toHaveLength(0);
  });

  test('a code that could not be sent in time is not sent late', async () => {
    const { flowId } = await start();
    await app.relay.drain();
    await sql`update outbox set status = 'pending', done_at = null, leased_until = null
      where flow_id = ${flowId} and topic = 'code.send'`;
    const sent = (await app.services.inbox?.list({ limit: 100 }))?.length;
    app.clock.advance(61 * SECOND);
    await app.relay.drain();
    const [item] =
      await sql`select status, last_error from outbox where flow_id = ${flowId} and topic = 'code.send'`;
    expect(item).toEqual({ status: 'dead', last_error: 'the code is too old' });
    expect((await app.services.inbox?.list({ limit: 100 }))?.length).toBe(sent);
  });
});
