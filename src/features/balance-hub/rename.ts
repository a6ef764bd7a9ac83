/** Changes what a person is called, and nothing else about the account. */
import { changeProfile } from '../../../db/users.ts';
import type { Caller } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { uniquely } from '../signup/registration.ts';

/** What is undefined stays. @throws Problem conflict for a username in use, and when the account moved meanwhile */
export async function renamePerson(
  s: Pick<Services, 'commitAccount'>,
  account: { id: string; eventSeq: number },
  { username, name }: { username: string | undefined; name: string | undefined },
  caller: Caller,
): Promise<void> {
  if (username === undefined && name === undefined) return;
  await uniquely(
    s.commitAccount(
      {
        account,
        parts: name === undefined ? [] : [changeProfile(account.id, { displayName: name })],
        patch: username === undefined ? {} : { username },
        event: { type: 'user.updated' },
      },
      caller,
    ),
  );
}
