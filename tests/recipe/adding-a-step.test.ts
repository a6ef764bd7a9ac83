/**
 * `docs/adding-a-step.md`, carried out on a copy of the tree: what a newcomer writes is the list of edits, the named
 * scripts make the rest, and everything promised of a step holds. The number of files written is the measure.
 */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import * as plain from './plain-step.ts';
import { generate, type Scratch, scratchCopy, verify } from './scratch.ts';
import * as terms from './terms-step.ts';

const copies: Scratch[] = [];
afterAll(() => {
  for (const copy of copies) copy.remove();
});
const copied = (): Scratch => {
  const copy = scratchCopy();
  copies.push(copy);
  return copy;
};
const SLOW = 600_000;

test(
  'a plain step is three files by hand: machine, slice, test',
  async () => {
    const copy = copied();
    copy.edit(plain.plainStep);
    await generate(copy);
    await verify(copy, plain.TEST);
    expect(copy.written()).toEqual([
      'machines/signup.ts',
      'src/features/signup/profile-routes.ts',
      plain.TEST,
    ]);
  },
  SLOW,
);

test(
  'a step with a table, a setting, a refusal, an effect and a new version is six',
  async () => {
    const copy = copied();
    copy.edit(terms.termsStep);
    await generate(copy, { migration: true });
    await verify(copy, terms.TEST);
    expect(copy.written()).toEqual([
      'db/schema.ts',
      'machines/signup.ts',
      'src/config/variables.ts',
      'src/features/signup/profile-routes.ts',
      'src/kernel/problems.ts',
      terms.TEST,
    ]);
  },
  SLOW,
);

test('the recipe names each of these files', () => {
  const recipe = readFileSync(new URL('../../docs/adding-a-step.md', import.meta.url), 'utf8');
  for (const file of Object.keys({ ...plain.plainStep, ...terms.termsStep }).filter(
    (f) => !f.startsWith('tests/'),
  ))
    expect(recipe).toContain(file);
});
