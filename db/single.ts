/** One connection outside the lanes, for what runs once: a migration, a probe of the pooler, the stamp on a backup. */
import postgres, { type Sql } from 'postgres';
import { addressOf } from './address.ts';

/**
 * Lazily connects. A pooler of any kind takes it: nothing is prepared, and no parameter is sent beside those given.
 * @throws {AddressError} for a URL that cannot be honoured.
 */
export function singleConnection(
  url: string,
  applicationName: string,
  parameters: Record<string, number> = {},
): Sql {
  const address = addressOf(url);
  return postgres({
    ...address,
    max: 1,
    max_lifetime: null,
    prepare: false,
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: applicationName, ...parameters, ...address.connection },
  } as object);
}
