/** The request behind an allowed action, as a line to paste into a shell. Placeholders stand for what only the person knows. */
import type { Action } from '../../http/actions.ts';

/** Example bodies by schema name: reserved numbers and the demo code, to be replaced by the person's own. */
const BODIES: Record<string, object> = {
  SendOtp: { phone: '+15555550100' },
  VerifyOtp: { phone: '+15555550100', otp: '000000' },
  StepUp: { pin: '482915' },
  SignupPhone: { phone: '+15555550100' },
  SignupVerifyOtp: { phone: '+15555550100', otp: '000000' },
  SetPassword: { password: 'Correct-Horse-42' },
  Profile: { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' },
  SubmitKyc: { document_type: 'PAN', document_number: 'ABCDE1234F' },
};

/** Openers and checks by phone need no token; a FULL account speaks with its access token. */
const tokenOf = ({ href }: Action): string =>
  href.startsWith('/v1/kyc') || href.startsWith('/v1/users') ? '$ACCESS_TOKEN' : '$FLOW_TOKEN';

const doubleQuoted = (text: string): string => `"${text.replace(/[\\"`]/g, '\\$&')}"`;

/** Only `$NAME` placeholders expand: everything else is quoted. */
export function asCurl(action: Action, baseUrl: string): string {
  const body = action.schema === null ? null : (BODIES[action.schema] ?? {});
  return [
    `curl -sS${action.method === 'GET' ? '' : ` -X ${action.method}`} ${doubleQuoted(baseUrl + action.href)}`,
    `-H ${doubleQuoted(`Authorization: Bearer ${tokenOf(action)}`)}`,
    ...(body === null ? [] : [`-H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`]),
  ].join(' ');
}
