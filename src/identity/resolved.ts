/**
 * Principals as servers resolve them for agents that have no rows of access control.
 *
 * Owns what is told of one: its rights as the rules that they come from, and what its token says,
 * but for the secret. An agent follows it in the token's name and makes the same principal of it.
 * Pure.
 */
import { revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import {
  derived,
  type Interest,
  type InterestKind,
  type PartRow,
} from '../store/replica/interest.ts'
import { defineTable, jsonCodec } from '../store/table.ts'
import type { TokenRow } from '../store/tables/acl.ts'
import { scope } from '../store/tables/names.ts'
import { type AclSettings, Principal } from './resolve.ts'
import { compile, type Source } from './rules/mod.ts'

/** A principal as it is told; there is no such row in any store. */
export interface ResolvedRow {
  /** Without its secret; undefined for requests without a token where there is no row for them. */
  readonly token?: TokenRow
  readonly sources: readonly Source[]
  readonly policies: readonly string[]
  readonly roles: readonly string[]
  readonly defaultPolicy: AclSettings['defaultPolicy']
  readonly keyListPolicy: boolean
}

/** The key is that of the token's row. */
export const resolvedPrincipals = defineTable<ResolvedRow>({
  name: 'resolved-principals',
  prefix: 'replica/principal/',
  codec: jsonCodec(),
})

/** Whom a token stands for: each follows it in its own name. */
export const principalInterest: Interest = { kind: 'principal', name: '' }

const WHOLE: Bytes = ''

/** What servers tell of principals. */
export const principalKind = ({
  defaultPolicy,
  keyListPolicy,
}: Pick<AclSettings, 'defaultPolicy' | 'keyListPolicy'>): InterestKind => ({
  kind: principalInterest.kind,
  wakes: [scope.acl],
  isPersonal: true,
  parts: () => [WHOLE],
  // There is nothing that everybody could be told.
  rows: () => [],
  touched: () => [],
  changedAt: view => view.revision,
  marks: () => [],
  seesAll: () => false,
  seen(who): readonly PartRow[] {
    if (!(who instanceof Principal)) return []
    const { tokenKey, token, sources, policyNames, roleNames } = who
    const row: ResolvedRow = {
      ...(token === undefined ? {} : { token: { ...token, sealedSecret: '' } }),
      ...{ sources, policies: policyNames, roles: roleNames, defaultPolicy, keyListPolicy },
    }
    return [derived(resolvedPrincipals, tokenKey, row, revision(0))]
  },
})

/** The principal that a server told of. */
export function principalOfRow(tokenKey: Bytes, row: ResolvedRow): Principal {
  const { token, sources, policies, roles, defaultPolicy, keyListPolicy } = row
  const authorizer = compile(sources, { defaultPolicy, keyListPolicy })
  return new Principal(tokenKey, token, authorizer, sources, { policies, roles }, [])
}
