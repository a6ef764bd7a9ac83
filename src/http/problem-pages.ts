/** `/problems` and `/problems/{code}`: what a code means, as a page for a browser and as JSON for a program. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { Problem, type ProblemCode, problemCatalogue } from '../kernel/problems.ts';
import { problemSchema } from './problem-json.ts';

const descriptionSchema = z
  .object({
    type: z.string(),
    code: z.string(),
    status: z.number(),
    title: z.string(),
    description: z.string().describe('Cause and fix in one text'),
    cause: z.string().describe('When it happens'),
    fix: z.string().describe('What a client should do'),
  })
  .meta({ id: 'ProblemDescription' });
type Description = z.infer<typeof descriptionSchema>;

const listSchema = z.object({ problems: z.array(descriptionSchema) }).meta({ id: 'ProblemDescriptions' });

/** `baseUrl`: put before `/problems/<code>` in `type`. */
export function problemPages(app: FastifyInstance, baseUrl: string): void {
  const described = new Map<string, Description>(
    problemCatalogue().map(({ code, status, title, cause, fix }) => {
      const type = `${baseUrl}/problems/${code}`;
      return [code, { type, code, status, title, description: `${cause} ${fix}`, cause, fix }];
    }),
  );
  const all = [...described.values()];
  app.register(async (scope) => {
    scope.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
    const typed = scope.withTypeProvider<ZodTypeProvider>();
    const doc = (summary: string) => ({
      summary,
      description: 'A browser (`Accept: text/html`) gets a page.',
      tags: ['Problems'],
      security: [],
    });
    typed.get(
      '/problems',
      { schema: { ...doc('Every problem code'), response: { 200: listSchema } } },
      async (request, reply) => {
        if (!wantsPage(request, reply)) return { problems: all };
        return sendPage(reply, 'Problems', all.map((one) => entry(one, 'h2')).join('')) as never;
      },
    );
    typed.get(
      '/problems/:code',
      {
        schema: {
          ...doc('What a problem code means'),
          params: z.object({ code: z.string() }),
          response: { 200: descriptionSchema, 404: problemSchema },
        },
      },
      async (request, reply) => {
        const found = described.get(request.params.code as ProblemCode);
        if (!found) throw new Problem('not_found');
        if (!wantsPage(request, reply)) return found;
        const back = '<p><a href="../problems">All problems</a></p>';
        return sendPage(reply, found.code, entry(found, 'h1') + back) as never;
      },
    );
  });
}

/** Whether the caller names HTML before JSON, as browsers do; says to caches what the answer depends on. */
function wantsPage(request: FastifyRequest, reply: FastifyReply): boolean {
  reply.header('cache-control', 'public, max-age=300').header('vary', 'accept');
  const accept = request.headers.accept ?? '';
  const html = accept.search(/\btext\/html\b/i);
  const json = accept.search(/\bapplication\/(?:problem\+)?json\b/i);
  return html >= 0 && (json < 0 || html < json);
}

const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

const STYLE =
  ':root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}' +
  'code{font-family:ui-monospace,monospace}dt{font-weight:600}dd{margin:0 0 .5rem}';

function sendPage(reply: FastifyReply, title: string, content: string): FastifyReply {
  return reply
    .header('content-security-policy', POLICY)
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>${content}</main>
</body>
</html>
`,
    );
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
/** Words between backticks are set as code. */
const prose = (text: string): string => escaped(text).replace(/`([^`]+)`/g, '<code>$1</code>');

const entry = ({ code, status, title, cause, fix }: Description, level: 'h1' | 'h2'): string =>
  `<section id="${code}"><${level}>${escaped(title)}</${level}>` +
  `<p><code>${code}</code>, HTTP status ${status}</p>` +
  `<dl><dt>Cause</dt><dd>${prose(cause)}</dd><dt>What to do</dt><dd>${prose(fix)}</dd></dl></section>`;
