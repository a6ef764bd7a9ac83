/** Answers to L4: checked on what was read, counted and used up in the commit that decides. */
import { LOGIN_CODE, type LoginContext, waysToAnswer } from '../../../machines/login.ts';
import type { Result } from '../../engine/engine.ts';
import { renewHash } from '../../engine/renew-hash.ts';
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

/** One read and one commit. @throws Problem invalid_flow_token, event_refused, rate_limited, validation_failed */
export async function answerCode(s: Needs, token: string, code: TypedCode, caller: Caller): Promise<Result> {
  const { proofs, factors } = s;
  await s.limits.secondFactor({ network: caller.network });
  const open = factors.opener();
  return ownFlow(
    s.engine.send(
      'login',
      flowNamedBy(token),
      async (loaded, view) => {
        proofs.holder(loaded, token, caller.now);
        const asked = { ...(view.context as unknown as LoginContext), subject: proofs.subject(loaded) };
        const ways = view.tags.has('step-up') ? waysToAnswer(asked).map(({ id }) => id) : [];
        // The code of the login itself comes first: nothing else is asked until it was right.
        if (ways.includes(LOGIN_CODE.id) && code.form === 'digits')
          return { event: proofs.loginCodeAnswered(loaded, code.text, caller.now) };
        const mine = loaded.factors.filter(({ id }) => ways.includes(id));
        const verdict = await factors.verdict(mine, code, caller.now, open);
        // A login that waits for nothing refuses it; one that waits for something else says so.
        if (!verdict && !view.tags.has('step-up')) return { event: proofs.noAnswer(loaded, caller.now) };
        if (!verdict) {
          const message = 'no code answers this login: see `factors`';
          throw new Problem('validation_failed', {
            errors: [{ pointer: '/body/code', code: 'not_expected', message }],
          });
        }
        const { factor, use } = verdict;
        proofs.factorBudget(factor.accountId, factor.id, factor.failures);
        return {
          event: proofs.factorAnswered(loaded, verdict, caller.now),
          ...(use ? { enclosures: { factorUse: use } } : {}),
        };
      },
      caller,
    ),
  );
}
