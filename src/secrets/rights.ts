/**
 * What a token may do: its policies and those of its entity, compiled.
 *
 * Owns which policies hold for a token, and that what they come to is worked out once for all who
 * have the same: it is kept by the barrier that their rows were opened with, and holds as long as
 * each of these rows stands. Pure.
 */

import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Barrier } from './barrier/keyring.ts'
import type { Ground } from './ground.ts'
import { factsFor, identityOf } from './identity/context.ts'
import { namespaceById, ROOT } from './namespace/namespace.ts'
import { type CompiledPolicies, compilePolicies, type PolicyIdentity } from './policy/mod.ts'
import { documentOf, isPolicyForGood, type PolicyRow, policyAt } from './policy-rows.ts'
import { DENIED } from './refusals.ts'
import type { Draft } from './storage.ts'
import type { TokenRow } from './token/token.ts'

export interface Rights {
  /** Names of all policies that hold, in order, also of those that are not there. */
  readonly names: readonly string[]
  readonly compiled: CompiledPolicies
}

interface Standing {
  readonly ground: Ground
  readonly people: Ground
  readonly rights: Rights
}

/** By the token's row, as long as nothing that its rights follow from changes. */
const standings = new WeakMap<TokenRow, Standing>()

/** The rights of a token; a refusal where its entity is gone or disabled. */
export function rightsOf(draft: Draft, token: TokenRow): Rights | Refusal {
  const ground = draft.ground('ground')
  const people = token.entityId === '' ? ground : draft.ground('identity')
  const known = standings.get(token)
  if (known !== undefined && known.ground === ground && known.people === people) {
    return known.rights
  }
  const { rights, isForGood } = rightsAnew(draft, token)
  if (ground !== undefined && people !== undefined && isForGood && !(rights instanceof Refusal)) {
    standings.set(token, { ground, people, rights })
  }
  return rights
}

/** What somebody may do now, and whether time alone changes nothing about which policies hold. */
function rightsAnew(
  draft: Draft,
  token: TokenRow,
): { readonly rights: Rights | Refusal; readonly isForGood: boolean } {
  const { policies, namespaceId, entityId } = token
  const identity = entityId === '' ? undefined : identityOf(draft, namespaceId, entityId)
  const isGone = entityId !== '' && (identity === undefined || identity.isDisabled)
  const namespace = namespaceById(draft, namespaceId)?.path
  if (isGone || namespace === undefined) return { rights: DENIED, isForGood: false }
  if (policies.includes('root')) {
    return { rights: { names: policies, compiled: rootIn(namespace) }, isForGood: true }
  }
  const more = identity?.policies ?? []
  // Those of a token are in order, and each once.
  const names = more.length === 0 ? policies : [...new Set([...policies, ...more])].sort()
  const held = heldIn(draft, namespaceId, namespace, names)
  let isForGood = names.every(name => isPolicyForGood(draft, namespaceId, name))
  for (const group of identity?.elsewhere ?? []) {
    const policies = group.policies.filter(name => name !== 'root')
    held.push(...heldIn(draft, group.namespaceId, group.namespace, policies))
    isForGood &&= policies.every(name => isPolicyForGood(draft, group.namespaceId, name))
  }
  const facts = identity && factsFor(identity, token)
  const rights = { names, compiled: compiledOf(draft.barrier, namespace, held, facts) }
  return { rights, isForGood }
}

function heldIn(
  draft: Draft,
  namespaceId: string,
  namespace: string,
  names: readonly string[],
): Held[] {
  return names.flatMap(name => {
    const row = policyAt(draft, namespaceId, name)
    return row === undefined ? [] : [{ name, namespace, row }]
  })
}

interface Held {
  readonly name: string
  /** The path of the namespace that it is of, and holds in. */
  readonly namespace: string
  readonly row: PolicyRow
}

interface Known {
  readonly held: readonly Held[]
  readonly facts: PolicyIdentity | undefined
  readonly compiled: CompiledPolicies
}

/** Goes with the barrier: once it is sealed, nothing of what it opened is left here. */
const known = new WeakMap<Barrier, Map<string, Known>>()

function compiledOf(
  barrier: Barrier,
  namespace: string,
  held: readonly Held[],
  entity: PolicyIdentity | undefined,
): CompiledPolicies {
  const all = known.get(barrier) ?? new Map<string, Known>()
  known.set(barrier, all)
  const sources = held.map(({ name, namespace: of, row }) => {
    return { policy: name, namespace: of, document: documentOf(row) }
  })
  // Who somebody is matters where a policy says so alone.
  const facts = sources.some(one => one.document.isTemplated) ? entity : undefined
  const key = [namespace, facts?.id ?? '', ...held.map(one => one.namespace + one.name)].join('\0')
  const last = all.get(key)
  if (last !== undefined && last.facts === facts && areSame(last.held, held)) return last.compiled
  const compiled = compilePolicies(sources, { identity: facts })
  if (last === undefined && all.size >= limits.compiledPolicies) {
    all.delete(all.keys().next().value!)
  }
  all.set(key, { held, facts, compiled })
  return compiled
}

const areSame = (some: readonly Held[], others: readonly Held[]): boolean =>
  some.length === others.length && some.every(({ row }, at) => row === others[at]!.row)

const rootOfAll = compilePolicies([], { root: ROOT.path })

function rootIn(namespace: string): CompiledPolicies {
  return namespace === ROOT.path ? rootOfAll : compilePolicies([], { root: namespace })
}
