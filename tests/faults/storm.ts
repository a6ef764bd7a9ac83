/** Many people sign up at once while something is broken over and over; afterwards the database is judged. */
import { setTimeout as delay } from 'node:timers/promises';
import postgres, { type Sql } from 'postgres';
import { brokenInvariants } from '../support/invariants.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { codes } from '../support/person.ts';
import { type Answer, family, freePort, type Replica, startReplica } from '../support/replica.ts';
import { createJournal, lost } from './journal.ts';
import { type Arrived, signUpWhatever } from './pilgrim.ts';

export type Storm = {
  /** As the service reaches it. */
  databaseUrl: string;
  /** As the judge reaches it, when that is another way. */
  judgeUrl?: () => string;
  redisUrl?: string;
  people: number;
  concurrency: number;
  /** Breaks something once and repairs it; called again and again until everybody has arrived. */
  disturb(service: Service): Promise<void>;
  /** Longest quiet time between two disturbances. */
  everyMs: number;
  maxDisturbances?: number;
  progress?: (arrived: number) => void;
};

export type Service = {
  replica(): Replica;
  /** Kills the process without warning and starts it again on the same port. */
  crash(): Promise<void>;
};

export type Verdict = {
  arrived: number;
  disturbances: number;
  acknowledged: number;
  unknown: number;
  statuses: Record<number, number>;
  /** All of these must be empty. */
  unfinished: string[];
  lost: unknown[];
  broken: Record<string, unknown[]>;
  strangers: string[];
  unfinishable: string[];
};

export async function storm(options: Storm): Promise<Verdict> {
  const shared = family();
  const port = await freePort();
  const journal = createJournal();
  const codeOf = codes(shared.secrets.masterKey);
  const { databaseUrl, redisUrl } = options;
  const start = () => startReplica({ databaseUrl, redisUrl, family: shared, env: LIMITS_OFF, port });
  let replica = await start();
  const service: Service = {
    replica: () => replica,
    async crash() {
      await replica.kill('SIGKILL');
      replica = await start();
    },
  };
  const call: Replica['call'] = (...args) => replica.call(...args);
  let done = false;
  let disturbances = 0;
  const weather = async () => {
    while (!done && disturbances < (options.maxDisturbances ?? Number.POSITIVE_INFINITY)) {
      await delay(Math.random() * options.everyMs);
      if (done) return;
      disturbances += 1;
      await options.disturb(service);
    }
  };
  try {
    const arrivals: Arrived[] = [];
    const unfinished: string[] = [];
    let waiting = options.people;
    const walker = async () => {
      while (waiting-- > 0) {
        await signUpWhatever(call, codeOf, journal).then(
          (arrived) => arrivals.push(arrived),
          (error: Error) => unfinished.push(error.message),
        );
        options.progress?.(arrivals.length);
      }
    };
    const crowd = Promise.all(Array.from({ length: options.concurrency }, walker)).finally(() => {
      done = true;
    });
    await Promise.all([crowd, weather()]);
    const sql = postgres(options.judgeUrl?.() ?? databaseUrl, { max: 2, onnotice: () => {} });
    try {
      return {
        arrived: arrivals.length,
        disturbances,
        acknowledged: journal.acks.length,
        unknown: journal.unknown,
        statuses: journal.statuses,
        unfinished,
        lost: await lost(sql, journal),
        broken: await brokenInvariants(sql),
        strangers: await strangers(call, arrivals),
        unfinishable: await unfinishable(sql, call, codeOf),
      };
    } finally {
      await sql.end();
    }
  } finally {
    await replica.kill();
    journal.close();
    shared.remove();
  }
}

/** People whose acknowledged tokens no longer open their account. */
async function strangers(call: Replica['call'], arrivals: Arrived[]): Promise<string[]> {
  const refused: string[] = [];
  for (const { phone, access } of arrivals) {
    const me = await call('GET', '/v1/users/me', { token: access });
    if (me.status !== 200 || me.body.account_tier !== 'LIMITED') refused.push(`${phone}: ${me.status}`);
  }
  return refused;
}

/** Flows left half-way by a lost answer: whoever holds the phone can still bring each of them to its end. */
async function unfinishable(
  sql: Sql,
  call: Replica['call'],
  codeOf: ReturnType<typeof codes>,
): Promise<string[]> {
  const stuck: string[] = [];
  const left =
    await sql`select f.id, f.state, c.canonical phone, f.snapshot->'context'->'code'->>'counter' counter
    from flows f join contacts c on c.id = f.contact_id
    where f.machine = 'signup' and f.status = 'active' and f.state like 'UNVERIFIED.%'`;
  for (const { id, state, phone, counter } of left) {
    // Newest first is how a phone alone finds its flow; an older one is ended with it by the same proof.
    const otp = codeOf(id, 'signup', Number(counter));
    const verify = () => call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp } });
    const answer = await settled(verify);
    if (![200, 400].includes(answer.status) || state !== 'UNVERIFIED.code_sent')
      stuck.push(`${id} ${state} ${answer.status}`);
  }
  return stuck;
}

/** The answer once what was broken has healed. */
async function settled(ask: () => Promise<Answer>): Promise<Answer> {
  const end = Date.now() + 5000;
  for (;;) {
    const answer = await ask();
    if (![429, 503].includes(answer.status) || Date.now() > end) return answer;
    await delay(100);
  }
}

/** What a verdict says when nothing is wrong. */
export const FLAWLESS = { unfinished: [], lost: [], broken: {}, strangers: [], unfinishable: [] };
