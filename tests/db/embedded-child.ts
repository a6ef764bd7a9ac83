/** A process of its own holding an embedded cluster, for tests that kill it or run it as another user. */
import { startEmbeddedPostgres } from '../../db/embedded.ts';

const { url, dataDir, stop } = await startEmbeddedPostgres({
  dataDir: process.argv[2] ?? '',
  log: (line) => console.error(line),
});
console.log(JSON.stringify({ url, dataDir }));
process.stdin.once('end', () => void stop().then(() => process.exit())).resume();
