/** The look of every picture: one set of rules, light and dark values, written out for a file or as variables for a page. */

const LIGHT = {
  bg: '#ffffff',
  ink: '#1f2328',
  muted: '#59636e',
  line: '#8b949e',
  guard: '#8250df',
  node: '#ffffff',
  region: '#f6f8fa',
  grey: '#6e7781',
  'grey-fill': '#f0f2f4',
  amber: '#9a6700',
  'amber-fill': '#fff8dc',
  green: '#1a7f37',
  'green-fill': '#dcf8e2',
  red: '#cf222e',
  'red-fill': '#ffebe9',
  live: '#0969da',
};
const DARK: typeof LIGHT = {
  bg: '#0d1117',
  ink: '#e6edf3',
  muted: '#9198a1',
  line: '#7d8590',
  guard: '#bc8cff',
  node: '#0d1117',
  region: '#13181f',
  grey: '#7d8590',
  'grey-fill': '#1c222a',
  amber: '#d29922',
  'amber-fill': '#2c2310',
  green: '#3fb950',
  'green-fill': '#10291a',
  red: '#f85149',
  'red-fill': '#32171a',
  live: '#58a6ff',
};

const RULES = `
.machine { color: var(--d-ink); font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; }
.machine .paper { fill: var(--d-bg); }
.machine text { fill: currentColor; font-size: 13px; }
.machine .mono { font: 10.5px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.machine .name { font-weight: 600; }
.machine .state > rect { fill: var(--d-node); stroke: var(--d-line); stroke-width: 1.25; }
.machine .compound > rect { fill: var(--d-region); }
.machine .stage > rect { stroke-dasharray: 5 3; }
.machine .tier-UNVERIFIED > rect { stroke: var(--d-grey); }
.machine .tier-LIMITED > rect { stroke: var(--d-amber); }
.machine .tier-FULL > rect { stroke: var(--d-green); }
.machine .tier-UNVERIFIED:not(.compound) > rect { fill: var(--d-grey-fill); }
.machine .tier-LIMITED:not(.compound) > rect { fill: var(--d-amber-fill); }
.machine .tier-FULL:not(.compound) > rect { fill: var(--d-green-fill); }
.machine .state.granted > rect { fill: var(--d-green-fill); stroke: var(--d-green); }
.machine .state.denied > rect { fill: var(--d-red-fill); stroke: var(--d-red); }
.machine .state > rect.inner { fill: none; }
.machine .heading text { paint-order: stroke; stroke: var(--d-region); stroke-width: 5px; stroke-linejoin: round; }
.machine .id, .machine .stay, .machine .note { fill: var(--d-muted); }
.machine .rule { stroke: var(--d-line); stroke-opacity: .35; }
.machine .line { fill: none; stroke: var(--d-line); stroke-width: 1.25; }
.machine .head { fill: var(--d-line); }
.machine .shared > .line { stroke: none; }
.machine .shared > .head { fill: none; }
.machine .event { fill: var(--d-ink); }
.machine .guard { fill: var(--d-guard); }
.machine .dot { fill: currentColor; }
`.trim();

/** Only for a live page: where a flow is, where it has been, which edge it took last. */
const LIVE = `
.machine { max-width: 100%; height: auto; background: var(--d-bg); border-radius: 6px; }
.machine .is-visited > rect { stroke: var(--d-live); stroke-width: 2; }
.machine .is-current > rect { stroke: var(--d-live); stroke-width: 3; }
.machine .is-current:not(.compound) > rect:not(.inner) { fill: var(--d-live); }
.machine .is-current:not(.compound) > text { fill: var(--d-bg); }
.machine .is-taken > .line { stroke: var(--d-live); stroke-width: 2; }
.machine .is-last > .line { stroke: var(--d-live); stroke-width: 3; }
.machine .is-taken > .head, .machine .is-last > .head { fill: var(--d-live); }
.machine .is-taken.stay, .machine .is-last.stay { fill: var(--d-live); font-weight: 700; }
`.trim();

const variables = (values: typeof LIGHT): string =>
  Object.entries(values)
    .map(([name, value]) => `--d-${name}: ${value};`)
    .join(' ');

/** The rules with their values filled in: a file opened anywhere needs no support for variables. */
export function themeCss(theme: 'light' | 'dark'): string {
  const values: Record<string, string> = theme === 'light' ? LIGHT : DARK;
  return RULES.replace(/var\(--d-([\w-]+)\)/g, (_, name: string) => values[name]!);
}

/** For pages that inline the picture under a strict CSP: variables that follow the reader's colour scheme, live states. */
export const consoleCss = `/* Generated from src/diagrams/theme.ts by npm run diagrams. */
:root { ${variables(LIGHT)} }
@media (prefers-color-scheme: dark) { :root { ${variables(DARK)} } }
${RULES}
${LIVE}
`;
