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
  /** Files at a time. Stages that kill, measure or listen on known ports take one. */
  readonly parallel: number
}

const unit = ['base', 'x509', 'hcl', 'filter', 'wire', 'store']
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

export const stages: readonly Stage[] = [
  { name: 'tidy', folders: ['tidy', 'run'], budgetMs: 0, fileBoundMs: 120_000, parallel: 2 },
  {
    name: 'unit',
    folders: [...unit, ...rooms],
    budgetMs: 20_000,
    fileBoundMs: 120_000,
    parallel: 3,
  },
  {
    name: 'conformance',
    folders: ['conformance', 'store/level', 'store/memory', 'store/etcd'],
    budgetMs: 20_000,
    fileBoundMs: 120_000,
    parallel: 3,
  },
  { name: 'faces', folders: faces, budgetMs: 10_000, fileBoundMs: 120_000, parallel: 3 },
  { name: 'faults', folders: ['faults'], budgetMs: 50_000, fileBoundMs: 240_000, parallel: 1 },
  {
    name: 'simulation',
    folders: ['sim', 'linear'],
    budgetMs: 40_000,
    fileBoundMs: 400_000,
    parallel: 2,
  },
  { name: 'system', folders: ['system'], budgetMs: 15_000, fileBoundMs: 180_000, parallel: 1 },
  { name: 'machines', folders: ['machines'], budgetMs: 50_000, fileBoundMs: 300_000, parallel: 1 },
  { name: 'scale', folders: ['scale'], budgetMs: 10_000, fileBoundMs: 300_000, parallel: 1 },
  { name: 'security', folders: ['security'], budgetMs: 15_000, fileBoundMs: 120_000, parallel: 2 },
  { name: 'soak', folders: ['soak'], budgetMs: 40_000, fileBoundMs: 240_000, parallel: 1 },
  { name: 'fuzz', folders: ['fuzz'], budgetMs: 30_000, fileBoundMs: 120_000, parallel: 2 },
  { name: 'clients', folders: ['clients'], budgetMs: 0, fileBoundMs: 180_000, parallel: 2 },
  { name: 'cli', folders: ['cli'], budgetMs: 0, fileBoundMs: 180_000, parallel: 3 },
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
