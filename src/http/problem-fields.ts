/** Schema refusals → `errors[]`. It must never repeat a submitted value nor the validator's own wording. */
import type { FieldError } from '../kernel/problems.ts';

/** What Fastify hangs on an error when a compiled schema refuses; the shape is that of ajv and of the zod provider. */
export type Refusal = {
  keyword?: string;
  instancePath?: string;
  message?: string;
  params?: Record<string, unknown>;
};

const MAX_ERRORS = 32;
const PARTS: Record<string, string> = { querystring: 'query' };
/** Keys a caller invented are repeated only when they look like names. */
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
/** How zod's built-in messages begin; anything else was written by the author of the schema and may be shown. */
const BUILT_IN = /^(Invalid|Too (big|small)|Unrecognized)/;

/** `part` is Fastify's validationContext, `value` what was validated (looked at, never shown). */
export function fieldErrors(part: string, value: unknown, refusals: readonly Refusal[]): FieldError[] {
  const root = `/${PARTS[part] ?? part}`;
  return refusals
    .slice(0, MAX_ERRORS)
    .flatMap((refusal) => fieldError(root, value, refusal))
    .slice(0, MAX_ERRORS);
}

function fieldError(root: string, value: unknown, refusal: Refusal): FieldError[] {
  const segments = (refusal.instancePath ?? '').split('/').filter(Boolean);
  const pointer = root + segments.map((segment) => `/${segment.replaceAll('~', '~0')}`).join('');
  const { keyword = 'invalid', params = {}, message = '' } = refusal;

  if (keyword === 'unrecognized_keys') {
    const keys = Array.isArray(params.keys) ? params.keys.map(String) : [];
    return keys.map((key) => ({
      pointer: NAME.test(key) ? `${pointer}/${key}` : pointer,
      code: 'unrecognized_key',
      message: 'is not known here',
    }));
  }
  if (keyword === 'invalid_type' && at(value, segments) === undefined) {
    return [{ pointer, code: 'required', message: 'is required' }];
  }
  const [code, text] = describe(keyword, params);
  return [{ pointer, code, message: BUILT_IN.test(message) || !message ? text : message }];
}

function at(value: unknown, segments: readonly string[]): unknown {
  let current = value;
  for (const segment of segments) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, segment)) return undefined;
    current = (current as Record<string, unknown>)[segment];
  }
  return current ?? undefined;
}

const UNITS: Record<string, string> = { string: ' characters', array: ' items', set: ' items' };

function describe(keyword: string, params: Record<string, unknown>): [code: string, message: string] {
  const unit = UNITS[String(params.origin)] ?? '';
  switch (keyword) {
    case 'invalid_type':
      return ['invalid_type', `must be of type ${params.expected}`];
    case 'too_small':
      return ['too_small', `must be at least ${params.minimum}${unit}`];
    case 'too_big':
      return ['too_big', `must be at most ${params.maximum}${unit}`];
    case 'invalid_format':
      return [
        'invalid_format',
        params.format === 'regex' ? 'has the wrong format' : `must be a valid ${params.format}`,
      ];
    case 'invalid_value':
      return [
        'invalid_value',
        `must be one of: ${(Array.isArray(params.values) ? params.values : []).join(', ')}`,
      ];
    case 'not_multiple_of':
      return ['not_multiple_of', `must be a multiple of ${params.divisor}`];
    default:
      return ['invalid', 'is not valid'];
  }
}
