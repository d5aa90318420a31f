/**
 * Whose rights decide about the answers of DNS. Its queries carry no token: the agent's own counts.
 *
 * Owns the port alone, and the one of a server whose ACLs are off.
 */
import type { Refusal } from '../base/errors.ts'
import { everybody, type Lack, type Who } from '../base/who.ts'
import type { QueryRow } from '../store/tables/query.ts'

export interface DnsRights {
  /** Whose rights decide now; always the same one until `watch` tells. */
  who(): Who
  /** Calls whenever `who` gives another, or one with other rights. Gives what ends the watch. */
  watch(changed: () => void): () => void
  /** Who is to see the instances of a prepared query: the asker, or the query's own token's. */
  seerOf(who: Who, query: QueryRow): Who | Refusal
  /** Keeps what an answer lacked, so that it can be explained under its id. */
  note(lack: Lack): void
}

/** Everything is for everybody. */
export const openRights: DnsRights = {
  who: () => everybody,
  watch: () => () => {},
  seerOf: who => who,
  note: () => {},
}

/** The rights of one who asks for himself, once. */
export const rightsOf = (who: Who, own: DnsRights): DnsRights => ({
  who: () => who,
  watch: () => () => {},
  seerOf: (asker, query) => own.seerOf(asker, query),
  note: lack => own.note(lack),
})
