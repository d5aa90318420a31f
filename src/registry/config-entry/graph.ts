/**
 * Entries that must fit to each other: protocols along redirects, subsets that others name,
 * intentions that look into HTTP.
 *
 * Owns what a change may not break: every chain of resolvers that the changed entry is part of,
 * and every intention on it, is looked at as it would be afterwards. Follows Consul's compiler of
 * discovery chains as far as resolvers go; its texts. Pure.
 */
import type { Bytes } from '../../base/bytes.ts'
import { type ConfigEntryRow, configEntries } from '../../store/tables/config-entry.ts'
import { fold, ofKind, underKind } from '../../store/tables/names.ts'
import type { Reader } from '../../store/view.ts'
import type { EntryFields } from './kind.ts'
import { PROXY_DEFAULTS_NAME } from './proxy-defaults.ts'
import { jwtProviders, type ServiceIntentions } from './service-intentions.ts'
import type { Place, ServiceResolver } from './service-resolver.ts'

/** An entry that is about to be written, or (without fields) deleted. */
export interface EntryChange {
  readonly kind: string
  readonly name: string
  readonly fields: EntryFields | undefined
}

/** What would not fit any more after a change; undefined when all does. */
export function graphProblem(
  view: Reader,
  change: EntryChange,
  datacenter: string,
): string | undefined {
  const entries = new Changed(view, change)
  for (const { name, fields } of entries.intentionsOn()) {
    const problem = intentionsProblem(entries, name, fields)
    if (problem !== undefined) return problem
  }
  for (const name of entries.chainNames()) {
    const problem = new Chain(entries, name, datacenter).problem()
    if (problem !== undefined) return problem
  }
  return undefined
}

/** The entries as they would be after the change. */
class Changed {
  readonly #view: Reader
  readonly #change: EntryChange
  /** All entries of a kind, where more than a few of it are looked at. */
  readonly #whole = new Map<string, ReadonlyMap<Bytes, ConfigEntryRow>>()

  constructor(view: Reader, change: EntryChange) {
    this.#view = view
    this.#change = change
    if (change.kind === 'proxy-defaults') this.#readWhole('service-defaults')
  }

  get(kind: string, name: string): EntryFields | undefined {
    const { kind: changedKind, name: changedName, fields } = this.#change
    if (kind === changedKind && fold(name) === fold(changedName)) return fields
    const whole = this.#whole.get(kind)
    if (whole !== undefined) return whole.get(fold(name))?.fields
    return this.#view.get(configEntries, ofKind(kind, name))?.row.fields
  }

  /** How a service is spoken to: as it says, else as all are. */
  protocolOf(service: string): string {
    const own = (this.get('service-defaults', service)?.Protocol ?? '') as string
    if (own !== '') return own
    const { Config } = (this.get('proxy-defaults', PROXY_DEFAULTS_NAME) ?? {}) as {
      Config?: { protocol?: unknown } | null
    }
    const general = Config?.protocol
    return typeof general === 'string' && general !== '' ? general.toLowerCase() : 'tcp'
  }

  /** The intentions that the change concerns. */
  intentionsOn(): { name: string; fields: ServiceIntentions }[] {
    const { kind, name } = this.#change
    if (kind === 'service-resolver') return []
    const names = kind === 'proxy-defaults' ? this.#readWhole('service-intentions') : [name]
    return names.flatMap(one => {
      const fields = this.get('service-intentions', one)
      return fields === undefined ? [] : [{ name: one, fields }]
    })
  }

  /** The services whose chains the change may concern: its own, and those that lead to it. */
  chainNames(): string[] {
    const { kind, name } = this.#change
    if (kind === 'service-intentions') return []
    if (kind === 'proxy-defaults') return this.#readWhole('service-resolver')
    const found = new Map([[fold(name), name]])
    // The names that are found on the way are looked at in their turn.
    for (const service of found.keys()) {
      for (const { row } of this.#view.find(configEntries, 'leadsTo', service)) {
        if (!found.has(fold(row.name))) found.set(fold(row.name), row.name)
      }
    }
    return [...found.values()]
  }

  /** Reads all entries of a kind; gives their names. */
  #readWhole(kind: string): string[] {
    const rows = this.#view.prefix(configEntries, underKind(kind)).map(({ row }) => row)
    this.#whole.set(kind, new Map(rows.map(row => [fold(row.name), row])))
    return rows.map(({ name }) => name)
  }
}

const HTTP_LIKE = ['http', 'http2', 'grpc']

function intentionsProblem(
  entries: Changed,
  name: string,
  fields: ServiceIntentions,
): string | undefined {
  const [provider] = jwtProviders(fields)
  if (provider !== undefined) {
    return `referenced JWT provider does not exist. Provider Name: ${provider}`
  }
  const isAboutHttp = fields.Sources?.some(({ Permissions = [] }) => Permissions.length > 0)
  const protocol = isAboutHttp === true ? entries.protocolOf(name) : 'http'
  if (HTTP_LIKE.includes(protocol)) return undefined
  const what = `service ${quoted(name)} has protocol ${quoted(protocol)}`
  return `${what}, which is incompatible with L7 intentions permissions`
}

const quoted = (text: string): string => JSON.stringify(text)

interface Target {
  readonly service: string
  readonly subset: string
  readonly datacenter: string
}

/** What a call of one service leads to. */
class Chain {
  readonly #entries: Changed
  readonly #name: string
  readonly #datacenter: string
  #protocol: string | undefined

  constructor(entries: Changed, name: string, datacenter: string) {
    this.#entries = entries
    this.#name = name
    this.#datacenter = datacenter
  }

  problem(): string | undefined {
    const start = { service: this.#name, subset: '', datacenter: this.#datacenter }
    const end = this.#follow(start)
    if (typeof end === 'string') return end
    const { Failover = {} } = this.#resolver(end.service)
    for (const one of Object.values(Failover)) {
      for (const place of [one as Place, ...(one.Targets ?? [])]) {
        if ((place.Peer ?? '') !== '') continue
        const reached = this.#follow(placeFrom(end, place))
        if (typeof reached === 'string') return reached
      }
    }
    return undefined
  }

  #resolver(service: string): ServiceResolver {
    return this.#entries.get('service-resolver', service) ?? {}
  }

  /** Where a target's redirects end, or why they do not. */
  #follow(start: Target): Target | string {
    const seen: string[] = []
    let target = start
    for (;;) {
      const inconsistent = this.#protocolProblem(target.service)
      if (inconsistent !== undefined) return inconsistent
      const id = idOf(target)
      if (seen.includes(id)) {
        return `detected circular resolver redirect: [${[...seen, id].join(' -> ')}]`
      }
      seen.push(id)
      const { Redirect, DefaultSubset = '', Subsets = {} } = this.#resolver(target.service)
      // Nobody here knows what another cluster resolves.
      if ((Redirect?.Peer ?? '') !== '') return target
      const next = Redirect === undefined ? target : placeFrom(target, Redirect)
      if (idOf(next) !== id) {
        target = next
        continue
      }
      if (target.subset === '' && DefaultSubset !== '') {
        target = { ...target, subset: DefaultSubset }
        continue
      }
      if (target.subset === '' || Object.hasOwn(Subsets, target.subset)) return target
      const what = `service ${quoted(target.service)} does not have a subset named`
      return `${what} ${quoted(target.subset)}`
    }
  }

  #protocolProblem(service: string): string | undefined {
    const protocol = this.#entries.protocolOf(service)
    this.#protocol ??= protocol
    if (protocol === this.#protocol) return undefined
    const chain = `discovery chain ${quoted(this.#name)} uses inconsistent protocols`
    const what = `service ${quoted(service)} has ${quoted(protocol)}`
    return `${chain}; ${what} which is not ${quoted(this.#protocol)}`
  }
}

/** A place as one comes to it from a target: what it does not say stays, but for the subset. */
function placeFrom(from: Target, { Service, ServiceSubset, Datacenter }: Place): Target {
  const service = Service ?? from.service
  const isElsewhere = fold(service) !== fold(from.service)
  return {
    service,
    subset: ServiceSubset ?? (isElsewhere ? '' : from.subset),
    datacenter: Datacenter ?? from.datacenter,
  }
}

const idOf = ({ service, subset, datacenter }: Target): string =>
  `${subset === '' ? '' : `${subset}.`}${service}.default.default.${datacenter}`
