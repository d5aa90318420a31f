/**
 * Rules as tables: a state of rows, a rule, and the transaction or refusal that it gives, as text.
 *
 * Rules run on a recorder, which fails where one reads a range that nothing guards.
 */
import type { Test } from 'tap'
import { publicIndex, revision, wallMs } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { type Access, everybody, type Who } from '../../src/base/who.ts'
import { Recorder } from '../../src/store/recorder.ts'
import { type Decide, type Op, put } from '../../src/store/store.ts'
import type { Cell } from '../../src/store/table.ts'
import { type CheckRow, checks } from '../../src/store/tables/check.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { fold, onNode } from '../../src/store/tables/names.ts'
import { type NodeRow, nodes } from '../../src/store/tables/node.ts'
import { type QueryRow, queries } from '../../src/store/tables/query.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { type SessionRow, sessions } from '../../src/store/tables/session.ts'
import { Version } from '../../src/store/view.ts'

/** A view with these rows, each operation a revision of its own. */
export function viewOf(...ops: readonly Op[]): Version {
  const version = new Version(registryTables)
  for (const op of ops) applyOps(version, [op])
  return version
}

/** Applies operations as one revision; none is no revision. */
export function applyOps(version: Version, ops: readonly Op[]): void {
  if (ops.length === 0) return
  const at = revision(version.revision + 1)
  for (const { table, key, row } of ops) {
    const before = version.get(table, key)
    version.apply(table, key, row === undefined ? undefined : cellOf(key, row, at, before), at)
  }
  version.revision = at
}

function cellOf(
  key: string,
  row: unknown,
  at: ReturnType<typeof revision>,
  before: Cell<unknown> | undefined,
): Cell<unknown> {
  return {
    key,
    row,
    createRevision: before?.createRevision ?? at,
    modRevision: at,
    version: (before?.version ?? 0) + 1,
    lease: '',
    createIndex: before?.createIndex ?? publicIndex(at),
    modifyIndex: publicIndex(at),
    sum: 0,
  }
}

/** What a rule gives on a view: its operations and answer, or its refusal, each as a line. */
export function ruled<A>(view: Version, decide: Decide<A>): string[] {
  const given = decide(new Recorder(view), wallMs(0), systemRandom)
  if (given instanceof Refusal) return [`${given.status} ${given.text}`]
  return [...given.txn.flatMap(op => lineOf(view, op)), `answer ${JSON.stringify(given.answer)}`]
}

/** Deleting what is not there is nothing. */
function lineOf(view: Version, { table, key, row }: Op): string[] {
  const shown = key.replaceAll('\u0000\u0000', '|')
  if (row !== undefined) return [`put ${table.name} ${shown}`]
  return view.get(table, key) === undefined ? [] : [`del ${table.name} ${shown}`]
}

export interface RuleCase<A> {
  readonly name: string
  readonly before?: readonly Op[]
  readonly rule: Decide<A>
  readonly gives: readonly string[]
}

/** Runs a table of cases. */
export function table(t: Test, cases: readonly RuleCase<unknown>[]): void {
  for (const { name, before = [], rule, gives } of cases) {
    t.strictSame(ruled(viewOf(...before), rule), gives, name)
  }
}

/**
 * Somebody with these rights alone: 'node:write' for all, 'node:write a' for one name. Keys may be
 * listed, as everywhere but where the configuration makes that a right of its own.
 */
export function only(...rights: string[]): Who {
  const may = ({ resource, capability, name }: Access): boolean =>
    (capability === 'list' && !rights.includes('asked for key:list')) ||
    rights.some(right =>
      [`${resource}:${capability}`, `${resource}:${capability} ${name}`].includes(right),
    )
  return { accessor: 'anonymous', rights: rights.join(), may }
}

export { everybody }

export const nodeRow = (node: string, more: Partial<NodeRow> = {}): NodeRow => ({
  node,
  id: '',
  address: '10.0.0.1',
  taggedAddresses: {},
  meta: {},
  ...more,
})

export const serviceRow = (
  node: string,
  id: string,
  more: Partial<ServiceRow> = {},
): ServiceRow => ({
  node,
  id,
  name: id,
  kind: '',
  tags: [],
  address: '',
  taggedAddresses: {},
  meta: {},
  port: 80,
  ports: [],
  socketPath: '',
  weights: { passing: 1, warning: 1 },
  enableTagOverride: false,
  connectNative: false,
  agentOwned: false,
  ...more,
})

export const checkRow = (
  node: string,
  checkId: string,
  more: Partial<CheckRow> = {},
): CheckRow => ({
  node,
  checkId,
  name: checkId,
  status: 'passing',
  notes: '',
  output: '',
  serviceId: '',
  serviceName: '',
  serviceTags: [],
  type: '',
  interval: '',
  timeout: '',
  definition: {},
  agentOwned: false,
  ...more,
})

const sessionRow = (id: string, node: string, more: Partial<SessionRow> = {}): SessionRow => ({
  id,
  name: '',
  node,
  lockDelayMs: 0,
  behavior: 'release',
  ttl: '',
  ttlMs: 0,
  nodeChecks: [],
  serviceChecks: [],
  ...more,
})

export const queryRow = (id: string, more: Partial<QueryRow> = {}): QueryRow => ({
  id,
  name: '',
  session: '',
  token: '',
  template: { type: '', regexp: '', removeEmptyTags: false },
  service: {
    service: 'web',
    failover: { nearestN: 0, datacenters: [], targets: [] },
    onlyPassing: false,
    ignoreCheckIds: [],
    near: '',
    tags: [],
    nodeMeta: {},
    serviceMeta: {},
    connect: false,
  },
  dnsTtl: '',
  ...more,
})

export const putQuery = (...of: Parameters<typeof queryRow>): Op =>
  put(queries, of[0], queryRow(...of))
export const putNode = (...of: Parameters<typeof nodeRow>): Op =>
  put(nodes, fold(of[0]), nodeRow(...of))
export const putService = (...of: Parameters<typeof serviceRow>): Op =>
  put(services, onNode(of[0], of[1]), serviceRow(...of))
export const putCheck = (...of: Parameters<typeof checkRow>): Op =>
  put(checks, onNode(of[0], of[1]), checkRow(...of))
export const putSession = (...of: Parameters<typeof sessionRow>): Op =>
  put(sessions, of[0], sessionRow(...of))
