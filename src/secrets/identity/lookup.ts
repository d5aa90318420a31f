/**
 * Looking up an entity or a group by one of several things that are known of it.
 *
 * Owns which of them may be said together. Pure.
 */
import { Refusal } from '../../base/errors.ts'

/** What is known of what is looked for; '' for nothing. */
export interface Known {
  readonly id: string
  readonly name: string
  readonly aliasId: string
  readonly aliasName: string
  readonly aliasMountAccessor: string
}

const bad = (text: string): Refusal => new Refusal(400, text)

/** The one way to look for it. */
export function wayOf(known: Known): keyof Omit<Known, 'aliasMountAccessor'> | Refusal {
  const said = (Object.keys(known) as (keyof Known)[]).filter(name => known[name] !== '')
  const hasName = said.includes('aliasName')
  const hasMount = said.includes('aliasMountAccessor')
  if (said.length === 0) return bad('query parameter not supplied')
  if (said.length === 2 && hasName && hasMount) return 'aliasName'
  if (said.length > 1) {
    return bad('query parameter conflict; please supply distinct set of query parameters')
  }
  const [way] = said
  return way === 'aliasName' || way === 'aliasMountAccessor'
    ? bad("both 'alias_name' and 'alias_mount_accessor' needs to be set")
    : way!
}
