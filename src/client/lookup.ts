/**
 * Instances of a service as a live local view, and the choice of one of them.
 *
 * Owns which instances count, and that a lookup costs no request. What it shows is what the feed
 * told last.
 */
import type { Random } from '../base/clock.ts'
import type { WireHealth, WireInstance } from './api.ts'
import type { Following } from './follower.ts'

/** What checks say of an instance. */
export type Health = 'passing' | 'warning' | 'critical'

/** One instance of a service. */
export interface Instance {
  /** Of the service, unique on its node. */
  readonly id: string
  readonly service: string
  readonly node: string
  /** Where it is reached: the service's address, or its node's. */
  readonly address: string
  readonly port: number
  readonly tags: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  /** How often it should be chosen, as it is now. */
  readonly weight: number
  /** The worst of its checks and those of its node. */
  readonly status: Health
  readonly checks: readonly {
    readonly id: string
    readonly name: string
    readonly status: Health
  }[]
}

/** Which instances are wanted. */
export interface LookupOptions {
  /** Only those that are not critical: true unless given. `strict`: none with a warning either. */
  readonly passing?: boolean | 'strict'
  /** All of these, compared without case. */
  readonly tags?: readonly string[]
  /** An expression of Consul's filter language over instances, evaluated by the server. */
  readonly filter?: string
}

/** How one of several is chosen. `turn`: one after the other. `weight`: by chance, by weights. */
export type PickBy = 'turn' | 'weight'

/** A live view of the instances of a service. */
export interface Lookup extends Following<Instance> {
  readonly service: string
  /** Those that are known now, in the order of node and id. Costs no request. */
  instances(): readonly Instance[]
  /** One of them; undefined where there is none. By weights unless said otherwise. */
  pick(by?: PickBy): Instance | undefined
}

/** What of an instance is kept, where it is wanted. */
export function instanceReader({
  passing = true,
  tags = [],
}: LookupOptions): (wire: WireInstance) => Instance | undefined {
  const wanted = tags.map(tag => tag.toLowerCase())
  return wire => {
    const instance = instanceOf(wire)
    if (passing !== false && instance.status === 'critical') return undefined
    if (passing === 'strict' && instance.status !== 'passing') return undefined
    const own = new Set(instance.tags.map(tag => tag.toLowerCase()))
    return wanted.every(tag => own.has(tag)) ? instance : undefined
  }
}

function instanceOf({ node, service, checks, status: worst }: WireInstance): Instance {
  const status = healthOf(worst)
  return {
    id: service?.id ?? '',
    service: service?.name ?? '',
    node: node?.name ?? '',
    address: service?.address || (node?.address ?? ''),
    port: service?.port ?? 0,
    tags: service?.tags ?? [],
    meta: service?.meta ?? {},
    weight: (status === 'warning' ? service?.weights?.warning : service?.weights?.passing) ?? 1,
    status,
    checks: checks.map(check => ({
      id: check.checkId,
      name: check.name,
      status: healthOf(check.status),
    })),
  }
}

const HEALTH: Readonly<Record<WireHealth, Health>> = {
  HEALTH_STATUS_UNSPECIFIED: 'passing',
  HEALTH_STATUS_PASSING: 'passing',
  HEALTH_STATUS_WARNING: 'warning',
  HEALTH_STATUS_CRITICAL: 'critical',
}

const healthOf = (status: WireHealth): Health => HEALTH[status]

/** Makes a lookup of what follows the instances of a service. */
export function lookupOf(service: string, following: Following<Instance>, random: Random): Lookup {
  let turn = 0
  let kept: readonly Instance[] | undefined
  following.on('change', () => {
    kept = undefined
  })
  const instances = (): readonly Instance[] => {
    if (kept !== undefined) return kept
    const byKey = [...following.items.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    kept = byKey.map(({ value }) => value)
    return kept
  }
  const more: Pick<Lookup, 'service' | 'instances' | 'pick'> = {
    service,
    instances,
    pick(by = 'weight') {
      const all = instances()
      if (by === 'turn') return all[turn++ % Math.max(1, all.length)]
      return weighted(all, random.fraction())
    },
  }
  return Object.assign(following, more)
}

/** The one that a fraction of all weights falls on; any, where all weigh nothing. */
function weighted(all: readonly Instance[], fraction: number): Instance | undefined {
  const total = all.reduce((sum, { weight }) => sum + weight, 0)
  if (total === 0) return all[Math.floor(fraction * all.length)]
  let left = fraction * total
  for (const instance of all) {
    left -= instance.weight
    if (left < 0) return instance
  }
  return all.at(-1)
}
