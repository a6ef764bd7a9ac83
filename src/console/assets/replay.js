// @ts-check
/** Replays the steps of one flow on its diagram: range, arrow keys, play. It only looks; nothing is sent. */

const PLAY_MS = 900;

/** @type {number | null} */
let at = null;
/** @type {ReturnType<typeof setInterval> | undefined} */
let playing;

const find = (/** @type {string} */ id) => document.getElementById(id);
const range = () => /** @type {HTMLInputElement | null} */ (find('scrub'));
const steps = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll('#timeline [data-step]')]);

/** Lights the path up to the chosen step; the sources of its edges are the states it led through. */
function paint() {
  const rows = steps();
  const picture = document.querySelector('.split .picture');
  if (!picture || rows.length === 0) return;
  const upTo = rows.slice(0, (at ?? rows.length - 1) + 1);
  const accepted = upTo.filter((row) => row.dataset.refused !== '1');
  const edges = accepted.map((row) => /** @type {string[]} */ (JSON.parse(row.dataset.edges ?? '[]')));
  const taken = new Set(edges.flat());
  const last = new Set(edges.at(-1) ?? []);
  const visited = new Set(accepted.flatMap((row) => [row.dataset.from, row.dataset.to]));
  for (const key of taken) visited.add(key.split('|')[0]);
  const current = upTo.at(-1)?.dataset.to;
  for (const state of picture.querySelectorAll('[data-state]')) {
    const id = state.getAttribute('data-state') ?? '';
    state.classList.toggle('is-current', id === current);
    state.classList.toggle('is-visited', id !== current && visited.has(id));
  }
  for (const edge of picture.querySelectorAll('[data-edge]')) {
    const key = edge.getAttribute('data-edge') ?? '';
    edge.classList.toggle('is-last', last.has(key));
    edge.classList.toggle('is-taken', !last.has(key) && taken.has(key));
  }
  rows.forEach((row, i) => {
    row.classList.toggle('is-at', at !== null && i === at);
    row.classList.toggle('is-later', at !== null && i > at);
  });
  centre();
}

/** @param {number} index */
function go(index) {
  const rows = steps();
  at = Math.max(0, Math.min(rows.length - 1, index));
  const row = rows[at];
  const input = range();
  if (input) input.value = String(at + 1);
  const output = find('scrub-at');
  if (output) output.textContent = `${at + 1} / ${rows.length} · ${row?.dataset.to ?? ''}`;
  paint();
}

function stop() {
  clearInterval(playing);
  playing = undefined;
  const button = find('play');
  if (button) button.textContent = '▶';
}

function play() {
  if (playing !== undefined) return stop();
  const count = steps().length;
  go((at ?? count - 1) >= count - 1 ? 0 : (at ?? 0) + 1);
  const button = find('play');
  if (button) button.textContent = '❚❚';
  playing = setInterval(() => {
    if ((at ?? 0) >= steps().length - 1) stop();
    else go((at ?? 0) + 1);
  }, PLAY_MS);
}

/** Brings the current state into view inside the picture's own frame; the page itself does not move. */
function centre() {
  const picture = document.querySelector('.split .picture');
  const current = picture?.querySelector('.is-current > rect');
  if (!picture || !current) return;
  const [frame, box] = [picture.getBoundingClientRect(), current.getBoundingClientRect()];
  picture.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  picture.scrollTop += box.top + box.height / 2 - frame.top - frame.height / 2;
}

function setUp() {
  const form = find('scrubber');
  const input = range();
  const rows = steps();
  centre();
  if (!form || !input || rows.length === 0) return;
  form.hidden = rows.length < 2;
  input.max = String(rows.length);
  // The server has drawn the whole path, also of steps on earlier pages: leave it alone until somebody moves.
  if (at !== null) go(at);
  if (at === null) {
    input.value = String(rows.length);
    const output = find('scrub-at');
    if (output) output.textContent = `${rows.length} / ${rows.length} · ${rows.at(-1)?.dataset.to ?? ''}`;
  }
  form.addEventListener('submit', (event) => event.preventDefault());
  input.addEventListener('input', () => {
    stop();
    go(Number(input.value) - 1);
  });
  find('play')?.addEventListener('click', play);
  rows.forEach((row, i) => {
    row.addEventListener('click', (event) => {
      if (/** @type {Element} */ (event.target).closest('a, summary, button')) return;
      stop();
      go(i);
    });
  });
}

document.addEventListener('keydown', (event) => {
  const target = /** @type {Element} */ (event.target);
  if (target.closest('input, select, textarea, button, summary, a') && target.id !== 'scrub') return;
  if (event.ctrlKey || event.metaKey || event.altKey || target.id === 'scrub') return;
  const rows = steps();
  const here = at ?? rows.length - 1;
  if (event.key === 'ArrowLeft') go(here - 1);
  else if (event.key === 'ArrowRight') go(here + 1);
  else if (event.key === 'Home') go(0);
  else if (event.key === 'End') go(rows.length - 1);
  else return;
  stop();
  event.preventDefault();
});

addEventListener('vestibule:swapped', setUp);
setUp();
