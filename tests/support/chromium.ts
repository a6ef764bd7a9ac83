/** A real browser for tests of pages. Where none is installed such tests are skipped, with this reason. */
import { existsSync } from 'node:fs';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
  type Request,
} from 'playwright-core';

const CANDIDATES = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];

export const chromiumPath = CANDIDATES.find((path) => path !== undefined && existsSync(path));
export const NO_CHROMIUM = 'no Chromium: install it or set CHROMIUM_PATH';

export const launch = (): Promise<Browser> =>
  // Its own sandbox needs privileges that containers lack; the pages are ours.
  chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox', '--disable-dev-shm-usage'] });

/** A page, and everything about it that must not happen: errors, refused content, requests to anybody else. */
export async function openPage(
  browser: Browser,
  base: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; context: BrowserContext; complaints: string[] }> {
  const context = await browser.newContext({ baseURL: base, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const host = new URL(base).host;
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const foreign = (request: Request) => {
    const url = new URL(request.url());
    const stopped = request.failure()?.errorText === 'csp';
    if (url.protocol !== 'data:' && url.host !== host && !stopped) complaints.push(`request to ${url.host}`);
  };
  page.on('requestfinished', foreign);
  page.on('requestfailed', foreign);
  return { page, context, complaints };
}
