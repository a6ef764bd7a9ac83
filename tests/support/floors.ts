/** Which import leads where: the floors of the tree, and every arrow that breaks their order. It only reads files. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** From the root: what each file imports from the tree itself, types included. */
export type Imports = Record<string, string[]>;

/** Floors from the bottom up. A file imports its own room and lower floors. */
const FLOORS: readonly (readonly RegExp[])[] = [
  [/^machines\//, /^db\//],
  // The configuration knows what a database address is.
  [/^src\/config\//],
  [/^src\/kernel\//, /^src\/diagrams\//],
  [/^src\/adapters\//],
  [/^src\/engine\//],
  [/^src\/http\//],
  [/^src\/features\//],
  [/^src\/console\//, /^src\/admin\//],
  [/^src\/wiring\//],
  [/^src\/server\.ts$/, /^src\/cli\//, /^bench\//],
];

const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/.*$/gm, '');

export function readImports(root: URL, folders: readonly string[]): Imports {
  const files = folders.flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('assets/'))
      .map((name) => `${folder}/${name}`),
  );
  return Object.fromEntries(
    files.sort().map((file) => {
      const code = withoutComments(readFileSync(new URL(file, root), 'utf8'));
      const named = [...code.matchAll(/(?<!['\w])(?:from|import)\s*\(?\s*'(\.[^'\n]+\.ts)'/g)];
      const targets = named.map(([, path]) => posix.join(posix.dirname(file), path as string));
      return [file, [...new Set(targets)]];
    }),
  );
}

const floorOf = (file: string): number => FLOORS.findIndex((rooms) => rooms.some((room) => room.test(file)));

/** A slice is a room of its own; elsewhere a room is a folder below `src`, or a folder of the root. */
const roomOf = (file: string): string => {
  const parts = file.split('/');
  return parts.slice(0, file.startsWith('src/features/') ? 3 : file.startsWith('src/') ? 2 : 1).join('/');
};

const levelOf = (file: string, levels: readonly (readonly string[])[]): number =>
  levels.findIndex((names) => names.includes(file.split('/')[2] ?? ''));

/** Arrows that lead to the same floor or up, and files that stand on no floor; slices are ordered by their levels. */
export function upwardArrows(imports: Imports, levels: readonly (readonly string[])[]): string[] {
  return Object.entries(imports).flatMap(([file, targets]) => {
    const own = floorOf(file);
    if (own === -1) return [`${file} stands on no floor`];
    if (file.startsWith('src/features/') && levelOf(file, levels) === -1)
      return [`${file} has no level in wiring/features.ts`];
    return targets
      .filter((target) => roomOf(file) !== roomOf(target))
      .filter((target) => {
        const slices = [file, target].every((one) => one.startsWith('src/features/'));
        return slices ? levelOf(target, levels) >= levelOf(file, levels) : floorOf(target) >= own;
      })
      .map((target) => `${file} → ${target}`);
  });
}

/** Groups that import each other (Tarjan), each sorted. */
function circlesOf(graph: Record<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (node: string): void => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    for (const next of graph[node] ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node)!, low.get(next)!));
    }
    if (low.get(node) !== index.get(node)) return;
    const circle = stack.splice(stack.indexOf(node));
    if (circle.length > 1) circles.push(circle.sort());
  };
  for (const node of Object.keys(graph)) if (!index.has(node)) visit(node);
  return circles;
}

export const fileCircles = (imports: Imports): string[][] => circlesOf(imports);

export function folderCircles(imports: Imports): string[][] {
  const graph: Record<string, string[]> = {};
  for (const [file, targets] of Object.entries(imports)) {
    const own = posix.dirname(file);
    const others = targets.map((target) => posix.dirname(target)).filter((folder) => folder !== own);
    graph[own] = [...(graph[own] ?? []), ...others];
  }
  return circlesOf(graph);
}
