/**
 * The key of every durable failure counter, made by one function for both sides: as text for a window, as an expression
 * where a query reads the counters of the rows it finds.
 */
import { type SQL, sql } from './driver/drizzle.ts';

const keysBy = <Id, Key>(join: (...pieces: (string | Id)[]) => Key) => ({
  /** Wrong codes of an identifier within a day. */
  codeDaily: (contact: Id) => join('code:d:', contact),
  /** Those of one network among them, by holders of a flow's token. */
  codeOfNetwork: (contact: Id, network: Id) => join('code:n:', contact, ':', network),
  /** Those of callers who only name the contact or the account. */
  anonymousPerCode: (name: Id) => join('open:c:', name),
  anonymousOfNetwork: (name: Id, network: Id) => join('open:n:', name, ':', network),
  pin: (account: Id) => join('pin:', account),
  /** Wrong codes of logins that need one beside the password. */
  loginCode: (account: Id) => join('login-code:', account),
  /** Wrong answers to one factor. */
  factor: (factor: Id) => join('factor:', factor),
  /** The present password, asked of somebody signed in. */
  password: (account: Id) => join('password:', account),
  /** Failed logins of the account that owns the identifier, or of an identifier without an owner. */
  login: (subject: Id) => join('login:', subject),
  loginOfDevice: (subject: Id, device: Id) => join('login:', subject, ':', device),
});

export const counterKey = keysBy<string, string>((...pieces) => pieces.join(''));

export const counterKeySql = keysBy<SQL, SQL>((...pieces) =>
  sql.join(
    pieces.map((piece) => (typeof piece === 'string' ? sql.raw(`'${piece}'`) : sql`${piece}::text`)),
    sql.raw(' || '),
  ),
);
