/** The committed pictures are those of the machines, byte for byte, and everything in them can be addressed. */
import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { ANONYMOUS, toGraph } from '../../machines/graph.ts';
import { registry } from '../../machines/index.ts';
import { drifted, generate, write } from '../../src/diagrams/generate.ts';
import { consoleCss, DIAGRAMS, inlineSvg } from '../../src/diagrams/inline.ts';
import { mermaid, transitionTable } from '../../src/diagrams/text.ts';
import { sampleMachine } from './sample-machine.ts';

const machines = Object.values(registry);
const sample = { id: 'sample', version: 2, machine: sampleMachine };
const dir = await mkdtemp(join(tmpdir(), 'diagrams-'));
afterAll(() => rm(dir, { recursive: true }));

test.each(machines)('every guard and action of $id has a name', ({ machine }) => {
  const { nodes, edges } = toGraph(machine);
  const names = [
    ...edges.flatMap((e) => [...e.actions, ...(e.guard === null ? [] : [e.guard])]),
    ...nodes.flatMap((n) => [...n.entry, ...n.exit]),
  ];
  expect(names.filter((name) => name === '' || name.includes(ANONYMOUS))).toEqual([]);
});

describe('generated files', () => {
  test('are the same bytes every time', async () => {
    const all = [sample, ...machines];
    expect(await generate(all)).toEqual(await generate(all));
  });

  test('in docs/diagrams are those of the machines (else: npm run diagrams)', async () => {
    expect(await drifted(await generate(machines), DIAGRAMS)).toEqual([]);
  });

  test('that are edited, missing or left over are named by the check', async () => {
    const files = await generate([sample]);
    await write(files, dir);
    expect(await drifted(files, dir)).toEqual([]);
    await writeFile(join(dir, 'sample.md'), 'edited');
    await unlink(join(dir, 'sample.dark.svg'));
    await writeFile(join(dir, 'gone.light.svg'), '');
    expect(await drifted(files, dir)).toEqual(['gone.light.svg', 'sample.dark.svg', 'sample.md']);
  });

  test('drift when a machine gains a transition', async () => {
    await write(await generate([sample]), dir);
    const { config, implementations } = sampleMachine;
    const states = { ...config.states, s3: { ...config.states!.s3, on: { NOTE: 'blocked' } } };
    const machine = createMachine({ ...config, states } as never, implementations as never);
    const names = await drifted(await generate([{ ...sample, machine }]), dir);
    expect(names).toEqual(expect.arrayContaining(['sample.light.svg', 'sample.inline.svg', 'sample.md']));
    expect(names).not.toContain('console.css');
  });
});

test.each(machines)(
  'the inline picture of $id addresses every state and transition exactly once',
  async ({ id, machine }) => {
    const svg = (await inlineSvg(id))!;
    const all = (attribute: string) =>
      [...svg.matchAll(new RegExp(`${attribute}="([^"]*)"`, 'g'))].map((m) => m[1]);
    const { nodes, edges } = toGraph(machine);
    expect(all('data-state').sort()).toEqual(nodes.map((n) => n.id).sort());
    expect(all('data-edge').sort()).toEqual(edges.map((e) => e.key).sort());
    expect(svg).toContain('role="img"');
    expect(svg).not.toMatch(/<style|style="|\bid="|<script/);
  },
);

test('a page can ask for any name without reading anything else', async () => {
  expect(await inlineSvg('../../package')).toBeNull();
  expect(await inlineSvg('nothing')).toBeNull();
});

test('text from a machine stays text in the picture', async () => {
  const label = '<b title="x">&';
  const machine = createMachine({ initial: 'a', states: { a: { meta: { label } } } });
  const svg = (await generate([{ id: 'hostile', version: 1, machine }])).get('hostile.light.svg');
  expect(svg).toContain('>&#60;b title=&#34;x&#34;&#62;&#38;</text>');
  expect(svg).not.toContain('<b');
});

test('the page style follows the reader, the files carry their own colours', async () => {
  expect(consoleCss).toContain('prefers-color-scheme: dark');
  const files = await generate([sample]);
  expect(files.get('sample.dark.svg')).not.toContain('var(');
  expect(files.get('sample.dark.svg')).not.toBe(files.get('sample.light.svg'));
});

test('the table and the mermaid text show eventless, guarded and staying transitions', () => {
  const graph = toGraph(sampleMachine);
  const table = transitionTable(graph);
  expect(table).toContain('| `s2` | *at once* | `lowRisk and opened` | `s3` | `assign` |');
  expect(table).toContain('| `challenge` | `NOTE` |  | *stays* | `note` |');
  expect(table).toContain('| `LIMITED` | *entry* |  |  | `welcome` |');
  expect(table).toContain('| `challenge` | `ANSWER` | *else* | `blocked` |  |');
  const text = mermaid(graph);
  expect(text).toContain('  s2 --> s3 : [lowRisk and opened]');
  expect(text).toContain('  challenge --> challenge : ANSWER [triesLeft(max  2)]');
  expect(text).toContain('    [*] --> LIMITED__active');
});
