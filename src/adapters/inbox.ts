/**
 * What the local adapters "sent", for the demo and for development; it keeps codes and personal data readable.
 * It must never exist beside a real adapter. The interface is asynchronous so that a shared store can replace memory.
 */
export type InboxEntry = {
  /** The outbox id: a repeated delivery replaces its entry. */
  id: string;
  /** Milliseconds since the epoch. */
  at: number;
  channel: 'sms' | 'mail';
  to: string;
  subject?: string;
  text: string;
  html?: string;
  /** The one-time code inside the text, for the person who tries the demo. */
  code?: string;
};

export interface Inbox {
  add(entry: Omit<InboxEntry, 'at'>): Promise<InboxEntry>;
  /** Newest first. */
  list(filter?: { to?: string; channel?: InboxEntry['channel']; limit?: number }): Promise<InboxEntry[]>;
  latest(to: string): Promise<InboxEntry | null>;
}

/** Keeps the newest `limit` entries. @throws RangeError when `limit` is not a positive integer. */
export function createInbox({ limit = 200, now }: { limit?: number; now: () => number }): Inbox {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError('An inbox needs room for an entry');
  const entries = new Map<string, InboxEntry>();

  const newestFirst = (): InboxEntry[] => [...entries.values()].reverse();
  return {
    async add(entry) {
      const stored = { ...entry, at: now() };
      entries.delete(entry.id);
      entries.set(entry.id, stored);
      const oldest = entries.size > limit ? entries.keys().next().value : undefined;
      if (oldest !== undefined) entries.delete(oldest);
      return { ...stored };
    },
    async list({ to, channel, limit: most = limit } = {}) {
      const wanted = newestFirst().filter(
        (e) => (to === undefined || e.to === to) && (channel === undefined || e.channel === channel),
      );
      return wanted.slice(0, most).map((e) => ({ ...e }));
    },
    async latest(to) {
      const entry = newestFirst().find((e) => e.to === to);
      return entry ? { ...entry } : null;
    },
  };
}
