/**
 * What a kind of configuration entry declares, and what several kinds have in common.
 *
 * Owns the type and the shared fields. A kind is one file beside this one, listed in mod.ts.
 */
import { limits } from '../../base/limits.ts'
import { type Access, access } from '../../base/who.ts'
import { bool, type Fields, integer, list, map, object, part, text } from './field.ts'

/** An entry as it was decoded: it says what it may say, but may be wrong in itself. */
export interface Entry {
  readonly kind: string
  readonly name: string
  readonly fields: EntryFields
}

export type EntryFields = Readonly<Record<string, unknown>>

export interface EntryKind {
  readonly kind: string
  /** The fields in the order of answers, without kind, name, hash and indexes. */
  readonly fields: Fields
  /** The only name that there is; undefined where each entry has its own. */
  readonly onlyName?: string
  /** The same entry in the one form in which it is kept. */
  readonly normalise?: (fields: EntryFields, name: string) => EntryFields
  /** What is wrong with an entry by itself; undefined when nothing is. */
  readonly problem: (fields: EntryFields, name: string) => string | undefined
  /** The other services that the entry sends callers to, each once. */
  readonly leadsTo?: (name: string, fields: EntryFields) => readonly string[]
  readonly readAccess: (name: string) => readonly Access[]
  readonly writeAccess: (name: string, fields: EntryFields) => readonly Access[]
}

/** The rights of the kinds that belong to a service. */
export const serviceRights: Pick<EntryKind, 'readAccess' | 'writeAccess'> = {
  readAccess: name => [access('read', 'service', name)],
  writeAccess: name => [access('write', 'service', name)],
}

export const WILDCARD = '*'

export const meta = map(text)
export const meshGateway = part({ Mode: text })
export const transparentProxy = part({ OutboundListenerPort: integer, DialedDirectly: bool })
export const expose = part({
  Checks: bool,
  Paths: list(
    object({
      ListenerPort: integer,
      Path: text,
      LocalPathPort: integer,
      Protocol: text,
      ParsedFromCheck: bool,
    }),
  ),
})

/** What is wrong with the pairs that belong to the client; undefined when nothing is. */
export function metaProblem(given: unknown): string | undefined {
  const pairs = Object.entries((given ?? {}) as Record<string, string>)
  if (pairs.length > limits.metaPairs) {
    return `Meta exceeds maximum element count ${limits.metaPairs}`
  }
  for (const [key, value] of pairs) {
    const named = JSON.stringify(key.slice(0, limits.metaKeyChars))
    if (key.length > limits.metaKeyChars) {
      return `Meta key ${named} exceeds maximum length ${limits.metaKeyChars}`
    }
    if (value.length > limits.metaValueChars) {
      return `Meta value for key ${named} exceeds maximum length ${limits.metaValueChars}`
    }
  }
  return undefined
}

/** What is wrong with how the proxies of a service are to be reached. */
export function proxyProblem(fields: EntryFields): string | undefined {
  const { Mode: mode = '', MeshGateway: gateway, MutualTLSMode: mutualTls = '' } = fields
  if (!['', 'direct', 'transparent'].includes(mode as string)) {
    return `Invalid proxy mode: ${JSON.stringify(mode)}`
  }
  if (!['', 'strict', 'permissive'].includes(mutualTls as string)) {
    return `invalid MutualTLSMode: ${JSON.stringify(mutualTls)}`
  }
  return gatewayProblem(gateway)
}

/** What is wrong with the mode of a mesh gateway. */
export function gatewayProblem(gateway: unknown): string | undefined {
  const { Mode: mode = '' } = (gateway ?? {}) as { Mode?: string }
  return ['', 'none', 'local', 'remote'].includes(mode)
    ? undefined
    : `Invalid Mesh Gateway Mode: ${JSON.stringify(mode)}`
}
