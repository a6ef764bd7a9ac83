/** Answers to L4: checked on what was read, counted and used up in the commit that decides. */
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { LoadedFlow } from '../../../db/flows.ts';
import { LOGIN_CODE, type LoginContext, waysToAnswer } from '../../../machines/login.ts';
import type { Decision, Result } from '../../engine/engine.ts';
import type { FactorVerdict } from '../../engine/factors/kind.ts';
import type { ChallengeUse } from '../../engine/factors/passkey.ts';
import { renewHash } from '../../engine/renew-hash.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { ownFlow } from '../../http/flow-answers.ts';
import { flowNamedBy } from '../../http/flow-requests.ts';
import type { Caller } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import type { TypedCode } from '../../kernel/crypto/typed-code.ts';
import { Problem } from '../../kernel/problems.ts';

type Needs = Pick<Services, 'engine' | 'limits' | 'proofs' | 'factors' | 'hasher' | 'db'>;

/** @throws Problem invalid_flow_token, event_refused, rate_limited, overloaded */
export async function answerPin(s: Needs, token: string, pin: string, caller: Caller): Promise<Result> {
  const { engine, proofs } = s;
  await s.limits.secondFactor({ network: caller.network });
  const locator = flowNamedBy(token);
  // No hash for a login that waits for no answer.
  const { loaded } = await ownFlow(
    engine.ready(
      'login',
      locator,
      (read) => {
        proofs.holder(read, token, caller.now);
        proofs.pinBudget(read);
        return proofs.pinAnswered(read, read, false, caller.now);
      },
      caller,
    ),
  );
  const [accountId, pinHash] = [loaded.account?.id ?? null, loaded.credential?.pinHash ?? null];
  const matches = await s.hasher.verify(pinHash, pin, accountId);
  const result = await engine.send(
    'login',
    locator,
    (fresh) => {
      proofs.holder(fresh, token, caller.now);
      proofs.pinBudget(fresh);
      return { event: proofs.pinAnswered(fresh, loaded, matches, caller.now) };
    },
    caller,
  );
  if (matches && pinHash !== null && accountId !== null && result.flow.tags.has('granted'))
    await renewHash(s, { accountId, kind: 'pin', hash: pinHash, secret: pin });
  return result;
}

/** One read and one commit: an answer is judged on what was read. A login that waits for none refuses it. */
async function judged(
  { engine, limits, proofs }: Pick<Services, 'engine' | 'limits' | 'proofs'>,
  token: string,
  caller: Caller,
  decide: (loaded: LoadedFlow, view: FlowView) => Promise<Decision<'login'>>,
): Promise<Result> {
  await limits.secondFactor({ network: caller.network });
  return ownFlow(
    engine.send(
      'login',
      flowNamedBy(token),
      async (loaded, view) => {
        proofs.holder(loaded, token, caller.now);
        if (!view.tags.has('step-up')) return { event: proofs.noAnswer(loaded, caller.now) };
        return decide(loaded, view);
      },
      caller,
    ),
  );
}

/** What an answer to a stored factor sends. @throws Problem rate_limited, validation_failed for one that answers none */
function factorDecision(
  { proofs }: Pick<Services, 'proofs'>,
  loaded: LoadedFlow,
  verdict: FactorVerdict | null,
  { field, message, now }: { field: 'code' | 'passkey'; message: string; now: number },
): Decision<'login'> {
  if (!verdict) {
    throw new Problem('validation_failed', {
      errors: [{ pointer: `/body/${field}`, code: 'not_expected', message }],
    });
  }
  const { factor, use } = verdict;
  proofs.factorBudget(factor.accountId, factor.id, factor.failures);
  return {
    event: proofs.factorAnswered(loaded, verdict, now),
    ...(use ? { enclosures: { factorUse: use } } : {}),
  };
}

/** @throws Problem invalid_flow_token, event_refused, rate_limited, validation_failed */
export async function answerCode(s: Needs, token: string, code: TypedCode, caller: Caller): Promise<Result> {
  const { proofs, factors } = s;
  const { now } = caller;
  const open = factors.opener();
  return judged(s, token, caller, async (loaded, view) => {
    // The code of the login itself comes first: nothing else is asked until it was right.
    if (code.form === 'digits' && waysIn(s, loaded, view).includes(LOGIN_CODE.id))
      return { event: proofs.loginCodeAnswered(loaded, code.text, now) };
    const verdict = await factors.verdict(waysOf(s, loaded, view), code, now, open);
    const message = 'no code answers this login: see `factors`';
    return factorDecision(s, loaded, verdict, { field: 'code', message, now });
  });
}

/** Ids of what answers the login now; none while it waits for nothing. */
function waysIn({ proofs }: Pick<Services, 'proofs'>, loaded: LoadedFlow, view: FlowView): string[] {
  const asked = { ...(view.context as unknown as LoginContext), subject: proofs.subject(loaded) };
  return view.tags.has('step-up') ? waysToAnswer(asked).map(({ id }) => id) : [];
}

/** The account's stored factors among them. */
export function waysOf(s: Pick<Services, 'proofs'>, loaded: LoadedFlow, view: FlowView) {
  const ways = waysIn(s, loaded, view);
  return loaded.factors.filter(({ id }) => ways.includes(id));
}

/** Any answer moves the flow on, and its challenges with it. */
export const stepUpChallenge = ({ flow }: LoadedFlow): ChallengeUse => [
  'login_step_up',
  flow.id,
  String(flow.version),
];

/** @throws Problem invalid_flow_token, event_refused, rate_limited, validation_failed */
export async function answerPasskey(
  s: Needs & Pick<Services, 'passkeys'>,
  token: string,
  response: AuthenticationResponseJSON,
  caller: Caller,
): Promise<Result> {
  const { now } = caller;
  return judged(s, token, caller, async (loaded, view) => {
    const judge = s.passkeys.judge(response, stepUpChallenge(loaded), now);
    const verdict = await judge(waysOf(s, loaded, view));
    const message = 'is no passkey that answers this login: see `factors`';
    return factorDecision(s, loaded, verdict, { field: 'passkey', message, now });
  });
}
