/**
 * The stages of the test command: which folders under test/ belong to each and what it may cost.
 *
 * Owns the time budgets. Must never shrink a case to fit one: a loop that is counted runs as
 * many whole cases as fit (see run/budget.ts), and `npm run long` runs it to its goal instead.
 */

/** One stage; stages run in this order, its files each in a process of its own. */
export interface Stage {
  readonly name: string
  /** Folders under test/. A file belongs to the stage that names the nearest folder above it. */
  readonly folders: readonly string[]
  /** What the counted loops of all its files share; other tests take what they need. */
  readonly budgetMs: number
  /** A file that runs longer than this is killed and counts as failed. */
  readonly fileBoundMs: number
  /** Its longest files, which begin first: none runs alone in the end. */
  readonly first?: readonly string[]
  /** Files of foreign programs that hold a start to a time: no other runs beside them. */
  readonly alone?: readonly string[]
  /**
   * Files at a time. Stages that fill the machine themselves take one. A test may not count on
   * being alone: ports are free ones, and what is waited for is polled.
   */
  readonly parallel: number
}

const unit = ['base', 'x509', 'hcl', 'filter', 'wire', 'client', 'store']
const rooms = [
  'identity',
  'registry',
  'checks',
  'secrets',
  'mesh',
  'feed',
  'audit',
  'cluster',
  'agent',
]
const faces = ['http', 'grpc', 'rpc', 'dns', 'xds', 'ui']

/** Most of the time each waits for a program, a lease or a bound. */
const WAITING = 3

export const stages: readonly Stage[] = [
  { name: 'tidy', folders: ['tidy', 'run'], budgetMs: 0, fileBoundMs: 120_000, parallel: 2 },
  {
    name: 'unit',
    folders: [...unit, ...rooms],
    budgetMs: 20_000,
    fileBoundMs: 120_000,
    parallel: WAITING,
  },
  {
    name: 'conformance',
    folders: ['conformance', 'store/level', 'store/memory', 'store/etcd'],
    first: [
      'test/store/etcd/member/duty.test.ts',
      'test/store/etcd/member/recover.test.ts',
      'test/store/etcd/member/duty.load.test.ts',
      'test/store/etcd/member/member.rotation.test.ts',
    ],
    budgetMs: 20_000,
    fileBoundMs: 120_000,
    parallel: WAITING,
  },
  {
    name: 'faces',
    folders: faces,
    first: [
      'test/rpc/live.test.ts',
      'test/http/registry/catalog.ttl.test.ts',
      'test/http/registry/coordinate.test.ts',
    ],
    budgetMs: 10_000,
    fileBoundMs: 120_000,
    parallel: WAITING,
  },
  { name: 'faults', folders: ['faults'], budgetMs: 35_000, fileBoundMs: 240_000, parallel: 1 },
  {
    name: 'simulation',
    folders: ['sim', 'linear'],
    budgetMs: 30_000,
    fileBoundMs: 400_000,
    parallel: 2,
  },
  {
    name: 'system',
    folders: ['system'],
    first: [
      'test/system/liveness.cluster.test.ts',
      'test/system/sinks.cluster.test.ts',
      'test/system/member.test.ts',
      'test/system/lifecycle.test.ts',
    ],
    budgetMs: 15_000,
    fileBoundMs: 180_000,
    parallel: WAITING,
  },
  {
    name: 'machines',
    folders: ['machines'],
    first: ['test/machines/operating.test.ts', 'test/machines/run.test.ts'],
    budgetMs: 50_000,
    fileBoundMs: 300_000,
    parallel: 2,
  },
  { name: 'scale', folders: ['scale'], budgetMs: 10_000, fileBoundMs: 300_000, parallel: 1 },
  {
    name: 'security',
    folders: ['security'],
    first: [
      'test/security/29-connection-floods.test.ts',
      'test/security/30-caches.test.ts',
      'test/security/27-huge-bodies.test.ts',
      'test/security/23-canaries.test.ts',
    ],
    budgetMs: 15_000,
    fileBoundMs: 120_000,
    parallel: WAITING,
  },
  { name: 'soak', folders: ['soak'], budgetMs: 25_000, fileBoundMs: 240_000, parallel: 1 },
  { name: 'fuzz', folders: ['fuzz'], budgetMs: 30_000, fileBoundMs: 120_000, parallel: 2 },
  {
    name: 'clients',
    folders: ['clients'],
    first: [
      'test/clients/cluster/go.test.ts',
      'test/clients/agent/python.test.ts',
      'test/clients/agent/npm-consul.test.ts',
      'test/clients/sinks.test.ts',
    ],
    alone: ['test/clients/go-sdk.test.ts'],
    budgetMs: 0,
    fileBoundMs: 180_000,
    parallel: 2,
  },
  {
    name: 'cli',
    folders: ['cli'],
    first: ['test/cli/lock.test.ts', 'test/cli/pack.test.ts'],
    budgetMs: 0,
    fileBoundMs: 180_000,
    parallel: WAITING,
  },
]

/**
 * The whole of `npm test` ends here, finished or not. Two quiet cores need a third of it; a machine
 * that is a third as fast as it should be still comes to the end.
 */
export const runBoundMs = 40 * 60_000

/** The bound of one file, and of the whole, when loops run to their goals. */
export const longBoundMs = 6 * 3_600_000

/** The stage of a test file by its path from the root; undefined when none names its folder. */
export function stageOf(file: string): Stage | undefined {
  const parts = file.split('/').slice(1, -1)
  const above = parts.map((_, at) => parts.slice(0, parts.length - at).join('/'))
  const folder = above.find(one => stages.some(stage => stage.folders.includes(one)))
  return stages.find(stage => folder !== undefined && stage.folders.includes(folder))
}
