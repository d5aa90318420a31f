/**
 * What sinks are given: the services and keys that a task follows, read out of the feed's items.
 *
 * Owns the form in which kinds see an instance, and the rule which instances may be used. Names,
 * addresses, tags and metadata are whatever somebody registered: nothing here vouches for them, and
 * each kind quotes or leaves out what its target's grammar cannot take. Pure.
 */

/** How an instance is, by the worst of its checks; `maintenance` was asked for by a person. */
export type InstanceStatus = 'passing' | 'warning' | 'critical' | 'maintenance'

/** One instance of a service. */
export interface Instance {
  readonly node: string
  readonly id: string
  readonly name: string
  /** Of the instance, else of its node. */
  readonly address: string
  /** 0 where it has none. */
  readonly port: number
  readonly status: InstanceStatus
  /** By its status, as its registration says; at least 0. */
  readonly weight: number
  readonly tags: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  /** The whole of it, as `/v1/health/service` has it. */
  readonly entry: unknown
}

/** One key. */
export interface KvItem {
  readonly key: string
  readonly value: Buffer
  readonly flags: string
  /** The ModifyIndex. */
  readonly revision: number
}

/** All that a task follows, at one time. What has nothing in it is empty, not absent. */
export interface SinkState {
  /** The newest revision of it. */
  readonly revision: number
  /** By the name of the service, in the order that the task names them. */
  readonly services: ReadonlyMap<string, readonly Instance[]>
  /** By prefix, in the order that the task names them; keys in order. */
  readonly kv: ReadonlyMap<string, readonly KvItem[]>
}

/**
 * The instances of a followed service, from the items of the topic `health` (Consul's JSON), sorted
 * by node and id, so that the same state always reads the same. What is no entry is left out.
 */
export function instancesOf(items: ReadonlyMap<string, unknown>): readonly Instance[] {
  const found = [...items.values()].flatMap(entry => instanceOf(entry) ?? [])
  return found.sort((a, b) => order(a.node, b.node) || order(a.id, b.id))
}

/** The keys of a followed prefix, from the items of the topic `kv`, sorted by key. */
export function kvItemsOf(items: ReadonlyMap<string, unknown>): readonly KvItem[] {
  const found = [...items.values()].flatMap(entry => {
    const { Key, Value, Flags, ModifyIndex } = record(entry)
    if (typeof Key !== 'string') return []
    return {
      key: Key,
      value: Buffer.from(text(Value), 'base64'),
      flags: String(Flags ?? 0),
      revision: Number(ModifyIndex ?? 0),
    }
  })
  return found.sort((a, b) => order(a.key, b.key))
}

/** Which instances a sink may use. */
export type UsableStatus = 'passing' | 'warning' | 'any'

/** Whether an instance may be used; one in maintenance never is. */
export function isUsable({ status }: Instance, least: UsableStatus): boolean {
  if (status === 'maintenance') return false
  if (least === 'any' || status === 'passing') return true
  return least === 'warning' && status === 'warning'
}

function instanceOf(entry: unknown): Instance | undefined {
  const { Node, Service, Checks } = record(entry)
  const [node, service] = [record(Node), record(Service)]
  if (typeof node.Node !== 'string' || typeof service.Service !== 'string') return undefined
  const status = statusOf(Array.isArray(Checks) ? Checks.map(record) : [])
  const weights = record(service.Weights)
  const weight = status === 'passing' ? weights.Passing : weights.Warning
  return {
    node: node.Node,
    id: text(service.ID) || service.Service,
    name: service.Service,
    address: text(service.Address) || text(node.Address),
    port: whole(service.Port, 0),
    status,
    weight: whole(weight, 1),
    tags: Array.isArray(service.Tags) ? service.Tags.filter(one => typeof one === 'string') : [],
    meta: Object.fromEntries(
      Object.entries(record(service.Meta)).filter((pair): pair is [string, string] => {
        return typeof pair[1] === 'string'
      }),
    ),
    entry,
  }
}

function statusOf(checks: readonly Readonly<Record<string, unknown>>[]): InstanceStatus {
  let worst: InstanceStatus = 'passing'
  for (const { CheckID, Status } of checks) {
    const id = text(CheckID)
    if (id === '_node_maintenance' || id.startsWith('_service_maintenance:')) return 'maintenance'
    if (Status === 'passing') continue
    if (Status !== 'warning') worst = 'critical'
    else if (worst === 'passing') worst = 'warning'
  }
  return worst
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Readonly<Record<string, unknown>>) : {}
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

const whole = (value: unknown, otherwise: number): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : otherwise

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b))
