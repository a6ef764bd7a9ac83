/** The frame of every page: where one is, how the service does, and the one style sheet. */
import type { Health } from '../../../db/reports.ts';
import { count, duration } from './format.ts';
import { type Html, html, type Part } from './html.ts';

export type Page = {
  title: string;
  /** Path of the navigation entry that is lit. */
  at: string;
  body: Part;
  /** Scripts this page works without. */
  scripts?: string[];
};

export type Frame = {
  health: Health;
  redis: 'none' | 'ok' | 'away';
  /** Spending caps reached of late. */
  alarms: string[];
  demoTools: boolean;
  docs: boolean;
  signedIn: boolean;
  formToken: string;
  demo: boolean;
};

const LATE_MS = 10_000;

function chip(label: string, value: string, level: 'ok' | 'warn' | 'bad' | 'off', hint: string): Html {
  return html`<li class="chip is-${level}" title="${hint}"><span class="lamp"></span>${label} <b>${value}</b></li>`;
}

function strip({ health: h, redis, alarms }: Frame): Html {
  const lag = h.outboxOldestMs;
  return html`<ul class="strip" id="strip" aria-label="Health">
${chip('Postgres', h.database ? 'ok' : 'away', h.database ? 'ok' : 'bad', 'Whether the database answers')}
${chip('Redis', redis === 'none' ? 'not used' : redis, redis === 'none' ? 'off' : redis === 'ok' ? 'ok' : 'bad', 'Shared counters and event streams')}
${chip('Outbox', h.outboxPending === 0 ? 'empty' : `${more(h.outboxPending)} · ${duration(lag)}`, lag > LATE_MS ? 'warn' : 'ok', 'Messages waiting for delivery, and how late the oldest one is')}
${chip('Dead letters', more(h.outboxDead), h.outboxDead > 0 ? 'bad' : 'ok', 'Messages that could not be delivered')}
${chip('Timers due', more(h.timersDue), h.timersDue > 0 && h.timersLateMs > LATE_MS ? 'warn' : 'ok', 'Flows whose timer is due but has not fired yet')}
${alarms.map((message) => chip('SMS', 'cap reached', 'bad', message))}
</ul>`;
}

/** Counts behind the strip stop at a bound. */
const more = (n: number): string => (n >= 1000 ? '1,000+' : count(n));

export function layout(frame: Frame, page: Page): Html {
  const links: [string, string][] = [
    ['/console', 'Machines'],
    ['/console/flows', 'Flows'],
    ['/console/funnel', 'Funnel'],
    ...(frame.demoTools ? ([['/console/inbox', 'Inbox']] as [string, string][]) : []),
    ['/console/mail', 'Mail'],
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · Vestibule</title>
<link rel="icon" href="/console/assets/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/console/assets/console.css">
${['live.js', ...(page.scripts ?? [])].map((name) => html`<script type="module" src="/console/assets/${name}"></script>`)}
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<a class="brand" href="/console"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 21V9a7 7 0 0 1 14 0v12"/><path d="M9 21V10a3 3 0 0 1 6 0v11"/><path d="M2.5 21h19"/></svg>Vestibule</a>
<nav aria-label="Console">${links.map(([href, name]) => html`<a href="${href}"${href === page.at ? html` aria-current="page"` : ''}>${name}</a>`)}${frame.docs ? html`<a href="/docs">API docs</a>` : ''}</nav>
<span class="fill"></span>
${frame.demo ? html`<span class="demo" title="Fixed codes, nothing is sent">demo</span>` : ''}
<button type="button" class="live" id="live" hidden aria-pressed="false"><span class="lamp"></span><span id="live-text">connecting</span></button>
${frame.signedIn ? html`<form method="post" action="/console/logout"><input type="hidden" name="form" value="${frame.formToken}"><button class="quiet">Sign out</button></form>` : ''}
</header>
${strip(frame)}
<main id="main">
${page.body}
</main>
</body>
</html>
`;
}
