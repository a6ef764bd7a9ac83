/** Rows that a commit leases as it writes them: delivered at once and in order, and never lost with their process. */
import type { Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { commit, newChangeSet, type OutboxRow } from '../../db/commit.ts';
import { createOutbox } from '../../db/outbox.ts';
import { DeliveryError } from '../../src/adapters/ports.ts';
import type { TopicHandler } from '../../src/engine/delivery.ts';
import { createRelay, type Relay } from '../../src/engine/relay.ts';
import { mint } from '../../src/http/request-context.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { type Connected, connected } from '../support/connected.ts';
import { createDatabase } from '../support/database.ts';

describe('rows leased by their own commit', () => {
  let db: Database;
  let sql: Sql;
  let close: Connected['close'];
  const relays: Relay[] = [];
  beforeAll(async () => {
    ({ db, sql, close } = await connected(createDatabase()));
  });
  beforeEach(async () => {
    await Promise.all(relays.splice(0).map((relay) => relay.stop()));
    await sql`delete from outbox`;
  });
  afterAll(async () => {
    await Promise.all(relays.map((relay) => relay.stop()));
    await close();
  });

  const clock = systemClock();
  const relayOf = (handler: TopicHandler): Relay => {
    const relay = createRelay({
      outbox: createOutbox(db),
      clock,
      handlers: { test: handler },
      sweep: async () => {},
      log: { warn: () => {}, error: () => {} },
    });
    relays.push(relay);
    return relay;
  };
  const rowsOf = (accountId: string | null, from: number, ...ids: string[]): OutboxRow[] =>
    ids.map((id, i) => ({
      id,
      topic: 'test',
      accountId,
      accountSeq: accountId === null ? null : from + i,
      payload: {},
      status: 'pending',
      dueAt: new Date(clock.now()),
      createdAt: new Date(clock.now()),
    }));
  const write = async (outbox: OutboxRow[], lease: Date | null) =>
    (await commit(db.writes, { ...newChangeSet(new Date(clock.now()), { lease }), outbox })).leased;
  const statuses = async () =>
    Object.fromEntries(
      (await sql`select id, status, attempts from outbox`).map((r) => [r.id, `${r.status} ${r.attempts}`]),
    );
  const until = (condition: () => Promise<unknown> | unknown) =>
    expect.poll(condition, { timeout: 5000, interval: 10 });

  test('are delivered once, in order, without being claimed', async () => {
    const seen: string[] = [];
    const relay = relayOf(async ({ id }) => void seen.push(id));
    relay.start();
    relay.accept(await write(rowsOf(mint(), 1, 'a1', 'a2', 'a3'), relay.lease()));
    relay.accept(await write(rowsOf(null, 0, 'free'), relay.lease()));
    await until(statuses).toEqual({ a1: 'done 1', a2: 'done 1', a3: 'done 1', free: 'done 1' });
    expect(seen.filter((id) => id !== 'free')).toEqual(['a1', 'a2', 'a3']);
    expect(seen).toHaveLength(4);
  });

  test('a topic that takes many gets the whole commit at once', async () => {
    const batches: string[][] = [];
    const relay = relayOf(
      Object.assign(async () => {}, {
        many: async (items: { id: string }[]) => void batches.push(items.map(({ id }) => id)),
      }),
    );
    relay.start();
    relay.accept(await write(rowsOf(mint(), 1, 'a1', 'a2'), relay.lease()));
    await until(statuses).toEqual({ a1: 'done 1', a2: 'done 1' });
    expect(batches).toEqual([['a1', 'a2']]);
  });

  test('no lease overtakes an earlier row of the same account', async () => {
    const account = mint();
    await write(rowsOf(account, 1, 'a1'), null);
    const seen: string[] = [];
    const relay = relayOf(async ({ id }) => void seen.push(id));
    const lease = new Date(clock.now() + 60_000);
    expect(await write(rowsOf(account, 2, 'a2'), lease)).toEqual([]);
    expect(await write(rowsOf(mint(), 1, 'b1'), lease)).toHaveLength(1);
    expect(await statuses()).toEqual({ a1: 'pending 0', a2: 'pending 0', b1: 'pending 1' });
    await relay.drain();
    expect(seen).toEqual(['a1', 'a2']);
  });

  test('when one fails, those after it wait for it and keep their place', async () => {
    const seen: string[] = [];
    const relay = relayOf(async ({ id, attempts }) => {
      seen.push(id);
      if (id === 'a1' && attempts < 2) throw new DeliveryError('not now', true);
    });
    relay.start();
    relay.accept(await write(rowsOf(mint(), 1, 'a1', 'a2', 'a3'), relay.lease()));
    await until(statuses).toEqual({ a1: 'pending 1', a2: 'pending 0', a3: 'pending 0' });
    expect(seen).toEqual(['a1']);
    clock.advance(3000);
    await until(statuses).toEqual({ a1: 'done 2', a2: 'done 1', a3: 'done 1' });
    expect(seen).toEqual(['a1', 'a1', 'a2', 'a3']);
  });

  test('what its process took to the grave is delivered by another one when the lease is over', async () => {
    const dead = relayOf(async () => {});
    dead.start();
    expect(await write(rowsOf(mint(), 1, 'a1', 'a2'), dead.lease())).toHaveLength(2);
    await dead.stop();
    const seen: string[] = [];
    const other = relayOf(async ({ id }) => void seen.push(id));
    await other.drain();
    expect(seen).toEqual([]);
    clock.advance(16_000);
    await other.drain();
    expect(seen).toEqual(['a1', 'a2']);
  });

  test('a relay that has not started or is stopping leases nothing', async () => {
    const relay = relayOf(async () => {});
    expect(relay.lease()).toBeNull();
    relay.start();
    expect(relay.lease()).toBeInstanceOf(Date);
    await relay.stop();
    expect(relay.lease()).toBeNull();
  });
});
