// @ts-check
/** Follows the event stream: lights up states, keeps badges and tables fresh. Without it every page still reads well. */

/** @typedef {{ id: string, flow: string, seq: number, machine: string, at: string, event: string, edges: string[], from: string, to: string, refused: boolean, actor: string }} Step */

const FLASH_MS = 1600;
const REFRESH_MS = 700;
const TICKER_LINES = 12;

const button = /** @type {HTMLButtonElement | null} */ (document.getElementById('live'));
const label = document.getElementById('live-text');

/** @param {string} state @param {string} text */
function show(state, text) {
  if (!button || !label) return;
  button.hidden = false;
  button.dataset.state = state;
  label.textContent = text;
}

/** @type {EventSource | null} */
let source = null;
let paused = false;

function connect() {
  source = new EventSource('/console/events');
  source.addEventListener('hello', () => {
    show('on', 'live');
    document.documentElement.dataset.stream = 'on';
    scheduleRefresh();
  });
  source.addEventListener('step', (message) => onStep(JSON.parse(message.data)));
  source.onerror = () => {
    document.documentElement.dataset.stream = 'off';
    show('off', 'reconnecting');
    // A refused connection is not tried again by the browser itself.
    if (source?.readyState === EventSource.CLOSED && !paused) setTimeout(connect, 2000);
  };
}

button?.addEventListener('click', () => {
  paused = !paused;
  button.setAttribute('aria-pressed', String(paused));
  if (paused) {
    source?.close();
    show('paused', 'paused');
  } else connect();
});
window.addEventListener('pagehide', () => source?.close());
window.addEventListener('pageshow', (event) => {
  if (event.persisted && !paused) connect();
});

const live = /** @type {HTMLElement | null} */ (document.querySelector('[data-live]'));
const kind = live?.dataset.live ?? '';

/** @param {Step} step */
function onStep(step) {
  tick(step);
  if (kind === 'machine' && live?.dataset.machineId === step.machine) {
    flash(live, step);
    scheduleRefresh();
  }
  if (kind === 'flow' && live?.dataset.flowId === step.flow) refreshFlow();
  if (kind === 'list' || kind === 'inbox') scheduleRefresh();
}

/** @param {Element} root @param {Step} step */
function flash(root, step) {
  const lit = [
    ...[...root.querySelectorAll('[data-edge]')].filter((e) =>
      step.edges.includes(e.getAttribute('data-edge') ?? ''),
    ),
    ...[...root.querySelectorAll('[data-state]')].filter((e) => e.getAttribute('data-state') === step.to),
  ];
  for (const element of lit) {
    element.classList.remove('is-flash');
    // Reading the box restarts the animation of a state that is lit already.
    element.getBoundingClientRect();
    element.classList.add('is-flash');
    setTimeout(() => element.classList.remove('is-flash'), FLASH_MS);
  }
}

const ticker = document.getElementById('ticker');

/** @param {Step} step */
function tick(step) {
  if (!ticker) return;
  if (!ticker.querySelector('a')) ticker.replaceChildren();
  const line = document.createElement('li');
  const link = document.createElement('a');
  link.href = `/console/flows/${encodeURIComponent(step.flow)}`;
  link.className = 'mono';
  link.textContent = `${step.flow.slice(0, 8)}…${step.flow.slice(-6)}`;
  const time = document.createElement('time');
  time.textContent = step.at.slice(11, 23);
  const event = document.createElement('b');
  event.className = 'mono';
  event.textContent = step.event;
  const way = document.createElement('span');
  way.textContent = step.refused ? `refused in ${step.from}` : `${step.from} → ${step.to}`;
  if (step.refused) way.className = 'flag';
  line.append(time, ' ', link, ' ', `${step.machine} `, event, ' ', way);
  ticker.prepend(line);
  while (ticker.children.length > TICKER_LINES) ticker.lastElementChild?.remove();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;
function scheduleRefresh() {
  if (waiting !== undefined) return;
  waiting = setTimeout(() => {
    waiting = undefined;
    refresh().catch(() => {});
  }, REFRESH_MS);
}

async function refresh() {
  if (kind === 'machine') await refreshBadges();
  if (kind === 'list' || kind === 'inbox') await swap(['[data-live]', '#strip']);
}

async function refreshBadges() {
  const id = live?.dataset.machineId ?? '';
  const answer = await fetch(`/console/counts.json?machine=${encodeURIComponent(id)}`);
  if (!answer.ok) return;
  const { badges } = await answer.json();
  for (const group of live?.querySelectorAll('[data-badge]') ?? []) {
    const text = badges[group.getAttribute('data-badge') ?? ''] ?? '';
    const [rect, words] = [group.querySelector('rect'), group.querySelector('text')];
    if (!rect || !words || words.textContent === text) continue;
    const width = 13 + text.length * 6.6;
    const x = Math.round(Number(group.getAttribute('data-right')) - width + 7);
    words.textContent = text;
    words.setAttribute('x', String(x + width / 2));
    rect.setAttribute('x', String(x));
    rect.setAttribute('width', String(width));
    group.classList.toggle('is-empty', text === '');
  }
}

/** Replaces parts of this page by those of a fresh copy. @param {string[]} selectors */
async function swap(selectors) {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!answer.ok) return null;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const focused = document.activeElement?.id ?? '';
  const opened = [...document.querySelectorAll('[data-step]:has(details[open])')].map((e) =>
    e.getAttribute('data-id'),
  );
  for (const selector of selectors) {
    const [old, next] = [document.querySelector(selector), fresh.querySelector(selector)];
    if (old && next) old.replaceChildren(...next.childNodes);
  }
  for (const row of document.querySelectorAll('[data-step]')) {
    if (opened.includes(row.getAttribute('data-id'))) row.querySelector('details')?.setAttribute('open', '');
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
  dispatchEvent(new Event('vestibule:swapped'));
  return fresh;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let refreshing;
function refreshFlow() {
  clearTimeout(refreshing);
  // At once: the fresh page is the truth about one flow. A burst is one refresh.
  refreshing = setTimeout(() => {
    swap(['main']).catch(() => {});
  }, 30);
}

connect();
