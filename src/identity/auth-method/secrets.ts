/**
 * The auth method `secrets`: what tokens of the secrets may do in the registry, by binding rules.
 *
 * Owns what its configuration may say and what a token is to binding rules. Nobody logs in by it:
 * whoever shows a token of the secrets has what the rules give him, as long as both stand. Only
 * what operators wrote is told to rules (policies, the entity), never what the maker of a token
 * chose. Pure.
 */
import { limits } from '../../base/limits.ts'
import type { OtherToken } from '../other-token.ts'
import { identityOf, type LoginIdentity } from './identity.ts'
import { isRecord } from './key.ts'

export const SECRETS_TYPE = 'secrets'

export interface SecretsConfig {
  /** The one namespace whose tokens it is about: '' for the root one, else with its slash. */
  readonly namespace: string
  /** Metadata of entities, and what it is called in rules. */
  readonly metadataMappings: readonly (readonly [key: string, name: string])[]
}

type Raw = Readonly<Record<string, unknown>>

/** What rules may say of every token. */
const OWN_NAMES = ['entity_id', 'entity_name', 'namespace']

const known = new WeakMap<Raw, SecretsConfig | string>()

/** Reads a `Config` as it was written; gives what is wrong with it where it cannot be used. */
export function readSecretsConfig(raw: Raw): SecretsConfig | string {
  const read = known.get(raw) ?? readAnew(raw)
  known.set(raw, read)
  return read
}

const SHOWN_CHARS = 64

function readAnew(raw: Raw): SecretsConfig | string {
  let namespace = ''
  let mappings: readonly (readonly [string, string])[] = []
  for (const [name, value] of Object.entries(raw)) {
    const field = name.toLowerCase()
    if (value === null) continue
    if (field === 'namespace') {
      if (typeof value !== 'string') return "'Namespace' is not a string"
      namespace = canonical(value)
    } else if (field === 'entitymetadata') {
      const isMap = isRecord(value) && Object.values(value).every(one => typeof one === 'string')
      if (!isMap) return "'EntityMetadata' is not a map of strings"
      mappings = Object.entries(value as Record<string, string>)
    } else return `error decoding config: '' has invalid keys: ${name.slice(0, SHOWN_CHARS)}`
  }
  const problem = mappingProblem(mappings.map(([, name]) => name))
  return problem ?? { namespace, metadataMappings: mappings }
}

/** The path of a namespace as rows have it. */
function canonical(text: string): string {
  const path = text.replaceAll(/^\/+|\/+$/g, '')
  return path === '' || path === 'root' ? '' : `${path}/`
}

function mappingProblem(names: readonly string[]): string | undefined {
  const twice = names.find((name, at) => names.indexOf(name) !== at || OWN_NAMES.includes(name))
  if (twice !== undefined) {
    const shown = JSON.stringify(twice.slice(0, SHOWN_CHARS))
    return `EntityMetadata contains multiple mappings for key ${shown}`
  }
  return names.length > limits.jwtMappings
    ? `EntityMetadata contains more than ${limits.jwtMappings} mappings`
    : undefined
}

/** What a token is to the rules of a method; undefined where it is of another namespace. */
export function identityOfOther(
  { namespace, metadataMappings }: SecretsConfig,
  token: Pick<OtherToken, 'namespace' | 'policies' | 'entity'>,
): LoginIdentity | undefined {
  if (token.namespace !== namespace) return undefined
  const { id = '', name = '', metadata = {} } = token.entity ?? {}
  const mapped = metadataMappings.map(([key, as]): [string, string] => [
    as,
    Object.hasOwn(metadata, key) ? (metadata[key] ?? '') : '',
  ])
  const values: [string, string][] = [
    ['namespace', namespace],
    ['entity_id', id],
    ['entity_name', name],
    ...mapped,
  ]
  return identityOf(new Map(values), new Map([['policies', token.policies]]))
}

/** What stands for any token of this method's namespace. */
export const blankOther = (config: SecretsConfig): LoginIdentity =>
  identityOfOther(config, { namespace: config.namespace, policies: [], entity: undefined })!
