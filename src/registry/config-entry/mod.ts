/**
 * All kinds of configuration entries, and how one is read out of what a client or a file says.
 *
 * Owns the list of kinds: served, known and coming later, and those that the enterprise edition
 * alone has. Texts are Consul's.
 */
import { Refusal, severalErrors } from '../../base/errors.ts'
import type { ConfigEntryRow } from '../../store/tables/config-entry.ts'
import { ignored, object, text } from './field.ts'
import type { Entry, EntryFields, EntryKind } from './kind.ts'
import { proxyDefaults } from './proxy-defaults.ts'
import { serviceDefaults } from './service-defaults.ts'
import { serviceIntentions } from './service-intentions.ts'
import { serviceResolver } from './service-resolver.ts'

export const entryKinds: readonly EntryKind[] = [
  serviceDefaults,
  proxyDefaults,
  serviceIntentions,
  serviceResolver,
]

/** Kinds that come with the mesh, its gateways and federation. */
export const laterKinds: readonly string[] = [
  'service-router',
  'service-splitter',
  'ingress-gateway',
  'terminating-gateway',
  'api-gateway',
  'bound-api-gateway',
  'http-route',
  'tcp-route',
  'inline-certificate',
  'file-system-certificate',
  'mesh',
  'exported-services',
  'jwt-provider',
  'inference-gateway',
]

/** What the community edition says who writes a kind that it knows and does not have. */
const enterpriseKinds: Readonly<Record<string, string>> = {
  'sameness-group': 'sameness-groups are an enterprise-only feature',
}

const byKind = new Map(entryKinds.map(one => [one.kind, one]))

/** A kind that is served, or why there is none: `invalid` is the status where nobody knows it. */
export function findKind(kind: string, invalid: number): EntryKind | Refusal {
  const found = byKind.get(kind)
  if (found !== undefined) return found
  if (laterKinds.includes(kind)) {
    return new Refusal(501, `not served yet: config entries of kind ${JSON.stringify(kind)}`)
  }
  return (
    enterpriseRefusal(kind) ??
    new Refusal(invalid, `invalid config entry kind: ${kind.slice(0, SHOWN_CHARS)}`)
  )
}

const SHOWN_CHARS = 128
const SHOWN_PROBLEMS = 16

/** The same for who reads: of what only the enterprise edition has, there simply is nothing. */
export function findReadKind(kind: string): Pick<EntryKind, 'readAccess'> | Refusal {
  return Object.hasOwn(enterpriseKinds, kind) ? { readAccess: () => [] } : findKind(kind, 500)
}

function enterpriseRefusal(kind: string): Refusal | undefined {
  const text = Object.hasOwn(enterpriseKinds, kind) ? enterpriseKinds[kind] : undefined
  return text === undefined ? undefined : new Refusal(500, text)
}

const shapes = new Map(
  entryKinds.map(one => {
    const fields = { Kind: text, Name: text, ...one.fields }
    const sentBack = { Hash: ignored, CreateIndex: ignored, ModifyIndex: ignored }
    return [one.kind, object({ ...fields, ...sentBack })]
  }),
)

/**
 * Reads an entry: what it says in the form in which it is kept. Refused where it is not an entry of
 * a kind that is served; whether it is right in itself is `refuseEntry`'s.
 */
export function decodeEntry(given: unknown): Entry | Refusal {
  const raw = (typeof given === 'object' && given !== null ? given : {}) as Record<string, unknown>
  const kindName = raw.Kind ?? raw.kind
  if (kindName === undefined) {
    return undecoded('Payload does not contain a kind/Kind key at the top level')
  }
  if (typeof kindName !== 'string') return undecoded('Kind value in payload is not a string')
  const kind = findKind(kindName, 400)
  if (kind instanceof Refusal) {
    return kind.status === 400 ? undecoded(kind.text) : kind
  }
  const problems: string[] = []
  const decoded = shapes.get(kind.kind)!.decode(raw, '', problems) as EntryFields
  if (problems.length > 0) return undecoded(severalErrors(problems.slice(0, SHOWN_PROBLEMS)))
  const { Kind, Name, ...fields } = decoded
  const name = nameOf(kind, (Name ?? '') as string)
  return { kind: kind.kind, name, fields: kind.normalise?.(fields, name) ?? fields }
}

const undecoded = (problem: string): Refusal =>
  new Refusal(400, `Request decoding failed: ${problem}`)

/** The name under which an entry is kept: some kinds have one only, which may be left out. */
const nameOf = ({ onlyName }: EntryKind, given: string): string =>
  given === '' ? (onlyName ?? '') : given

/** The row that keeps an entry. */
export function rowOf({ kind, name, fields }: Entry): ConfigEntryRow {
  return { kind, name, fields, leadsTo: byKind.get(kind)!.leadsTo?.(name, fields) ?? [] }
}

/** Why an entry is not taken, whatever is stored; undefined when it is. */
export function refuseEntry({ kind, name, fields }: Entry): Refusal | undefined {
  const declared = byKind.get(kind)!
  const problem = nameProblem(declared, name) ?? declared.problem(fields, name)
  return problem === undefined ? undefined : new Refusal(500, problem)
}

/** What is wrong with the name of an entry of a kind. */
export function nameProblem({ onlyName }: EntryKind, name: string): string | undefined {
  if (onlyName === undefined || name === onlyName) return undefined
  const given = JSON.stringify(name.slice(0, SHOWN_CHARS))
  return `invalid name (${given}), only ${JSON.stringify(onlyName)} is supported`
}
