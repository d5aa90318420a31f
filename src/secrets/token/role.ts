/**
 * Token roles: what tokens somebody may make by `auth/token/create/<role>`.
 *
 * Owns the row. Pure.
 */
import type { Draft, Storage } from '../storage.ts'
import type { TokenParams } from './params.ts'

export interface TokenRole {
  readonly allowedPolicies: readonly string[]
  readonly disallowedPolicies: readonly string[]
  readonly allowedPoliciesGlob: readonly string[]
  readonly disallowedPoliciesGlob: readonly string[]
  readonly orphan: boolean
  readonly renewable: boolean
  readonly pathSuffix: string
  readonly allowedEntityAliases: readonly string[]
  /** Lifetimes and policies of logins mean nothing here, and are not said. */
  readonly params: TokenParams
}

/** Roles by name; names are in lower case. */
export const tokenRoleRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'token-roles')

export const tokenRole = (draft: Draft, namespaceId: string, name: string): TokenRole | undefined =>
  tokenRoleRows(draft, namespaceId).kept<TokenRole>(name)

/** Whether one of some patterns, in which `*` stands for any letters at either end, fits. */
export const fitsGlob = (patterns: readonly string[], name: string): boolean =>
  patterns.some(pattern => fits(pattern, name))

function fits(pattern: string, name: string): boolean {
  const [head, tail] = [pattern.startsWith('*'), pattern.endsWith('*')]
  const text = pattern.slice(head ? 1 : 0, tail && pattern.length > 1 ? -1 : undefined)
  if (head && tail) return name.includes(text)
  if (head) return name.endsWith(text)
  return tail ? name.startsWith(text) : name === text
}
