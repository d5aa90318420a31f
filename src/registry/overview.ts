/**
 * The registry at a glance: what a web interface and operators look at.
 *
 * Owns what counts in a summary: a check once, however many instances it decides about, an instance
 * by the worst of its own checks, a node by the worst of those of the node itself. Long ones give
 * `undefined` in between, so that they can be cut into slices. Pure.
 */
import { access, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import type { Cell } from '../store/table.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { fold, onNode, scope, underNode } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import { type ServiceRow, services } from '../store/tables/service.ts'
import { readInstances } from './catalog.ts'
import { type InstanceHealth, instanceChecks } from './health.ts'
import { SELF_SERVICE } from './self.ts'

/** A node with all that is on it, as far as the asker may see it. */
export interface NodeInfo {
  readonly node: Cell<NodeRow>
  readonly services: readonly Cell<ServiceRow>[]
  readonly checks: readonly Cell<CheckRow>[]
}

const ofCatalog: Pick<Question<unknown>, 'target' | 'newest'> = {
  target: { scope: scope.catalog },
  newest: (_view, scopes) => scopes.newest(scope.catalog),
}

/** All nodes with what is on them, by name. */
export function nodeInfos(who: Who): Question<Iterable<NodeInfo | undefined>> {
  return {
    ...ofCatalog,
    key: 'node-infos',
    *read(view) {
      for (const node of view.entries(nodes)) yield infoOf(view, who, node)
    },
  }
}

/** One node with what is on it; undefined when it is not known, or not to the asker. */
export function nodeInfo(who: Who, name: string): Question<NodeInfo | undefined> {
  return {
    ...ofCatalog,
    key: `node-info ${fold(name)}`,
    read(view) {
      const node = view.get(nodes, fold(name))
      return node === undefined ? undefined : infoOf(view, who, node)
    },
  }
}

function infoOf(view: View, who: Who, node: Cell<NodeRow>): NodeInfo | undefined {
  const name = node.row.node
  if (!who.may(access('read', 'node', name))) return undefined
  const maySee = (service: string): boolean =>
    service === '' || who.may(access('read', 'service', service))
  return {
    node,
    services: view.prefix(services, underNode(name)).filter(({ row }) => maySee(row.name)),
    checks: view.prefix(checks, underNode(name)).filter(({ row }) => maySee(row.serviceName)),
  }
}

/** How many of something are in which state. */
export interface Tally {
  passing: number
  warning: number
  critical: number
}

/** All instances of a name together. */
export interface ServiceSummary {
  readonly name: string
  readonly kind: string
  readonly tags: readonly string[]
  readonly nodes: readonly string[]
  /** What registered them, as their metadata says it. */
  readonly externalSources: readonly string[]
  readonly instances: number
  readonly checks: Tally
  readonly connectNative: boolean
}

/** What metadata says of who registered an instance: Nomad, Kubernetes and the like. */
const EXTERNAL_SOURCE = 'external-source'

/** All service names with their instances summed up, by name. */
export function serviceSummaries(
  who: Who,
  keeps: (instance: InstanceHealth) => boolean,
): Question<Iterable<ServiceSummary | undefined>> {
  return {
    ...ofCatalog,
    key: 'service-summaries',
    *read(view) {
      for (const value of view.values(services, 'name')) {
        // Names are found without regard to case, but listed as they are.
        const found = new Map<string, Gathered>()
        for (const instance of readInstances(view, who, value, { tags: [], meta: [] })) {
          yield undefined
          const health = { ...instance, checks: instanceChecks(view, instance.service.row) }
          if (keeps(health)) gather(found, health)
        }
        for (const [name, gathered] of found) yield summaryOf(name, gathered)
      }
    },
  }
}

interface Gathered {
  kind: string
  readonly tags: Set<string>
  readonly nodes: Set<string>
  readonly sources: Set<string>
  readonly checks: Map<string, CheckRow>
  instances: number
  connectNative: boolean
}

function gather(found: Map<string, Gathered>, { service, checks: own }: InstanceHealth): void {
  const { row } = service
  const known = found.get(row.name) ?? {
    kind: row.kind,
    tags: new Set(),
    nodes: new Set(),
    sources: new Set(),
    checks: new Map(),
    instances: 0,
    connectNative: false,
  }
  found.set(row.name, known)
  known.kind = row.kind
  known.instances++
  known.nodes.add(row.node)
  for (const tag of row.tags) known.tags.add(tag)
  const source = row.meta[EXTERNAL_SOURCE] ?? ''
  if (source !== '') known.sources.add(source)
  if (row.connectNative) known.connectNative = true
  for (const { key, row: check } of own) known.checks.set(key, check)
}

const summaryOf = (name: string, gathered: Gathered): ServiceSummary => ({
  name,
  kind: gathered.kind,
  tags: [...gathered.tags].toSorted(),
  nodes: [...gathered.nodes].toSorted(),
  externalSources: [...gathered.sources],
  instances: gathered.instances,
  checks: tallyOf([...gathered.checks.values()].map(({ status }) => status)),
  connectNative: gathered.connectNative,
})

function tallyOf(statuses: Iterable<CheckStatus>): Tally {
  const tally = { passing: 0, warning: 0, critical: 0 }
  for (const status of statuses) tally[status]++
  return tally
}

/** The states of all nodes, and of services and checks by name. */
export interface Overview {
  readonly nodes: Tally
  readonly services: ReadonlyMap<string, Tally>
  readonly checks: ReadonlyMap<string, Tally>
}

/** Sums up the whole catalog, whoever asks: the right to see it is the face's to check. */
export function* catalogOverview(view: View): Generator<undefined, Overview> {
  const ofNodes = new Map<string, CheckStatus>()
  const ofInstances = new Map<string, CheckStatus>()
  const ofChecks = new Map<string, Tally>()
  for (const { row } of view.entries(checks)) {
    yield undefined
    add(ofChecks, row.name, row.status)
    const [worst, key] =
      row.serviceId === ''
        ? [ofNodes, fold(row.node)]
        : [ofInstances, onNode(row.node, row.serviceId)]
    worst.set(key, worseOf(worst.get(key), row.status))
  }
  const all = tallyOf([])
  for (const { key } of view.entries(nodes)) {
    yield undefined
    all[ofNodes.get(key) ?? CheckStatus.passing]++
  }
  const ofServices = new Map<string, Tally>()
  for (const { key, row } of view.entries(services)) {
    yield undefined
    add(ofServices, row.name, ofInstances.get(key) ?? CheckStatus.passing)
  }
  return { nodes: all, services: sorted(ofServices), checks: sorted(ofChecks) }
}

function add(tallies: Map<string, Tally>, name: string, status: CheckStatus): void {
  const tally = tallies.get(name) ?? tallyOf([])
  tally[status]++
  tallies.set(name, tally)
}

const BY_HARM = [CheckStatus.passing, CheckStatus.warning, CheckStatus.critical] as const

function worseOf(one: CheckStatus | undefined, other: CheckStatus): CheckStatus {
  return one === undefined || BY_HARM.indexOf(other) > BY_HARM.indexOf(one) ? other : one
}

const sorted = (tallies: Map<string, Tally>): Map<string, Tally> =>
  new Map([...tallies].toSorted(([one], [other]) => (one < other ? -1 : 1)))

/** How much is registered. */
export interface Usage {
  readonly nodes: number
  readonly services: number
  readonly instances: number
  readonly connectNative: number
  /** Those that are neither the servers' own nor the mesh's. */
  readonly billable: number
}

/** Counts what is registered. */
export function* usage(view: View): Generator<undefined, Usage> {
  let names = 0
  for (const _ of view.values(services, 'name')) {
    yield undefined
    names++
  }
  let connectNative = 0
  let billable = 0
  for (const { row } of view.entries(services)) {
    yield undefined
    if (row.connectNative) connectNative++
    if (row.kind === '' && row.name !== SELF_SERVICE) billable++
  }
  return {
    nodes: view.count(nodes),
    services: names,
    instances: view.count(services),
    connectNative,
    billable,
  }
}
