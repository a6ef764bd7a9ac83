/**
 * Two readers of the OpenAPI document: Swagger UI under /docs (requests can be tried out) and Redoc under /redoc.
 * Both work without internet and over plain http on any address; neither may ever ask another host for anything.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

/** Needs the openapi plugin. Register it only where the documentation may be read by anybody. */
async function docs(app: FastifyInstance) {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    transformStaticCSP: localOnly,
    uiConfig: { docExpansion: 'list', deepLinking: true, persistAuthorization: false, tryItOutEnabled: true },
  });
  const bundle = redocBundle();
  if (bundle) redoc(app, bundle);
  else app.log.warn('redoc is not installed: /redoc is not served');
}

/** The plugin's policy upgrades assets to https, which blanks the page on http://<address>, and names other hosts. */
function localOnly(policy: string): string {
  return policy
    .split(';')
    .map((directive) => directive.trim().split(/\s+/))
    .filter(([name]) => name && name !== 'upgrade-insecure-requests' && name !== 'frame-ancestors')
    .map((words) => words.filter((word) => word !== 'https:' && word !== 'validator.swagger.io').join(' '))
    .concat("frame-ancestors 'none'")
    .join('; ');
}

/** Redoc writes its styles into the page and searches in a worker made from a blob. */
const REDOC_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  'worker-src blob:',
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const REDOC_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vestibule API</title>
<link rel="icon" href="data:,">
<style>body { margin: 0 }</style>
</head>
<body>
<div id="redoc"></div>
<script src="redoc/redoc.js"></script>
<script src="redoc/start.js"></script>
</body>
</html>
`;

const REDOC_START = `const font = 'system-ui, sans-serif';
const theme = { typography: { fontFamily: font, headings: { fontFamily: font }, code: { fontFamily: 'monospace' } } };
Redoc.init('openapi.json', { theme, hideDownloadButtons: false, sortTagsAlphabetically: false }, document.getElementById('redoc'));
`;

/** Null where it is not installed. The logo in the footer is the one address outside that it would load. */
function redocBundle(): string | null {
  try {
    const path = createRequire(import.meta.url).resolve('redoc/bundles/redoc.standalone.js');
    return readFileSync(path, 'utf8').replaceAll(/https:\/\/cdn\.redoc\.ly\/[\w/.-]*/g, 'data:,');
  } catch {
    return null;
  }
}

function redoc(app: FastifyInstance, bundle: string): void {
  const hidden = { schema: { hide: true } };
  app.get('/redoc', hidden, (_request, reply) =>
    reply.header('content-security-policy', REDOC_POLICY).type('text/html; charset=utf-8').send(REDOC_PAGE),
  );
  const script = 'text/javascript; charset=utf-8';
  app.get('/redoc/start.js', hidden, (_request, reply) => reply.type(script).send(REDOC_START));
  app.get('/redoc/redoc.js', hidden, (_request, reply) =>
    reply.header('cache-control', 'public, max-age=3600').type(script).send(bundle),
  );
}

export default fp(docs, { name: 'docs', fastify: '5.x', dependencies: ['openapi'] });
