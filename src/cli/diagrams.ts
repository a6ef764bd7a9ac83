/** `npm run diagrams` writes docs/diagrams; with `--check` it changes nothing and fails naming each drifted file. */
import { registry } from '../../machines/index.ts';
import { drifted, generate, write } from '../diagrams/generate.ts';
import { DIAGRAMS } from '../diagrams/inline.ts';

const files = await generate(Object.values(registry));
if (process.argv.includes('--check')) {
  const names = await drifted(files, DIAGRAMS);
  for (const name of names)
    console.error(`docs/diagrams/${name} differs from the machines; run npm run diagrams`);
  process.exitCode = names.length > 0 ? 1 : 0;
} else {
  await write(files, DIAGRAMS);
  console.log(`${files.size} files in docs/diagrams`);
}
