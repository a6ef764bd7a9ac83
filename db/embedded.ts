/**
 * A real Postgres inside the project, for trying it out and for tests; never for production, which brings its own.
 * Everything acknowledged survives a kill of this process, of Postgres, or of the machine.
 */
import { join } from 'node:path';
import { binariesFor } from './embedded/binaries.ts';
import { accountFor, homeOf, openCluster, openFolder } from './embedded/folder.ts';
import { acquireLock } from './embedded/lock.ts';
import { initdb, ROLE, startServer, stopOrphan } from './embedded/server.ts';

export type EmbeddedOptions = {
  /** Made if missing; reused by every later start. */
  dataDir: string;
  /** Receives a line when the files are elsewhere than asked, or when an earlier run had to be cleaned up. */
  log: (line: string) => void;
  /** False gives up surviving a crash of the machine for speed: throw-away databases of tests only. */
  durable?: boolean;
};

export type EmbeddedPostgres = {
  /** Contains the password: never to be logged. */
  url: string;
  /** Where the files really are. */
  dataDir: string;
  /** Ends Postgres and frees the folder. Open connections are cut. Safe to call twice. */
  stop(): Promise<void>;
};

/**
 * Starts Postgres on `dataDir`, creating an empty cluster the first time. As root it runs as `nobody`.
 * @throws Error, with a sentence for the operator, when another process uses the folder, when there are no binaries
 * for this platform, or when Postgres does not start.
 */
export async function startEmbeddedPostgres({
  dataDir,
  log,
  durable = true,
}: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const folder = openFolder(dataDir);
  const release = acquireLock(folder);
  try {
    const home = homeOf(folder, log);
    const account = accountFor(home);
    const bin = join(binariesFor(account), 'bin');
    const { cluster, password } = await openCluster(home, account, (draft, passwordFile) =>
      initdb(bin, account, draft, passwordFile, durable),
    );
    await stopOrphan(cluster, log);
    const server = await startServer(bin, account, cluster, join(home, 'postgres.log'), durable);
    let stopping: Promise<void> | undefined;
    const stop = () => {
      stopping ??= server.stop().finally(release);
      return stopping;
    };
    return { url: `postgres://${ROLE}:${password}@127.0.0.1:${server.port}/postgres`, dataDir: home, stop };
  } catch (error) {
    release();
    throw error;
  }
}
