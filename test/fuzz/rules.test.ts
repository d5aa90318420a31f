/**
 * Any sequence of writes to catalog, sessions and key/value store, against a naive model: equal
 * answers and equal rows, step by step; and what blocking queries stand on.
 */
import t from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import type { View } from '../../src/store/ask.ts'
import { type LocalStore, withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import type { Written } from '../../src/store/store.ts'
import type { Cell } from '../../src/store/table.ts'
import { type CheckRow, checks } from '../../src/store/tables/check.ts'
import { type KvRow, kv } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { type NodeRow, nodes } from '../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import {
  type LockDelayRow,
  lockDelays,
  type SessionRow,
  sessions,
} from '../../src/store/tables/session.ts'
import type { Reader } from '../../src/store/view.ts'
import { settled } from '../fake/clock.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import {
  type Fields,
  type Outcome,
  RegistryModel,
  TABLES,
  type TableName,
} from './registry-model.ts'
import { indexOf, KEYS, makers, type StepMaker } from './registry-steps.ts'
import { questions, Watch } from './registry-watch.ts'

const STEPS_MAX = 40

interface Sequence {
  readonly steps: readonly ReturnType<StepMaker>[]
  /** After how many steps all are made durable and looked at. */
  readonly stride: number
  /** What was done, for whoever reads of a failure. */
  readonly done: string[]
}

const make = (draw: Draw): Sequence => ({
  steps: Array.from({ length: 1 + draw.below(STEPS_MAX) }, () => draw.pick(makers)(draw)),
  stride: 1 + draw.below(8),
  done: [],
})

/** How each table's keys and rows look in the model. */
const shown: Readonly<Record<TableName, (view: View) => Iterable<Cell<unknown>>>> = {
  nodes: view => view.entries(nodes),
  services: view => view.entries(services),
  checks: view => view.entries(checks),
  sessions: view => view.entries(sessions),
  kv: view => view.entries(kv),
  'lock-delays': view => view.entries(lockDelays),
}

const fields: Readonly<Record<TableName, (row: never) => Fields>> = {
  nodes: ({ address }: NodeRow) => ({ address }),
  services: ({ tags }: ServiceRow) => ({ tags }),
  checks: ({ status: now, serviceName, serviceTags }: CheckRow) => ({
    status: now,
    service: serviceName,
    tags: serviceTags,
  }),
  sessions: ({ id, node, nodeChecks: its, behavior, lockDelayMs }: SessionRow) => ({
    ...{ id, node, checks: its, behavior, lockDelayMs },
  }),
  kv: ({ value, flags, session, lockIndex }: KvRow) => ({
    ...{ value: value.toString(), flags: Number(flags), session, lockIndex },
  }),
  'lock-delays': ({ delayMs }: LockDelayRow) => ({ delayMs }),
}

t.test('any sequence of writes', async t => {
  let steps = 0
  const run = async (sequence: Sequence): Promise<void> => {
    const store = openMemoryStore({
      tables: withSystemTables(registryTables),
      clock: systemClock,
      random: systemRandom,
    })
    sequence.done.length = 0
    await play(store, sequence)
    await store.close()
    steps += sequence.steps.length
  }
  const show = ({ done }: Sequence): string => done.join('\n')
  const count = await untilBudget('sequences of writes', 50_000, casesOf({ make, run, show }))
  t.comment(`${steps} writes`)
  t.ok(count > 0)
})

async function play(store: LocalStore, { steps, stride, done }: Sequence): Promise<void> {
  const model = new RegistryModel()
  const watches = questions.map(question => new Watch(store, question))
  let writes: [Promise<Written<unknown> | Refusal>, Outcome | undefined, number][] = []
  for (const [at, given] of steps.entries()) {
    const step = typeof given === 'function' ? given(model) : given
    done.push(step.text)
    const written = store.write(view => {
      holdHead(view, model)
      return step.rule(view)
    })
    const outcome = step.expect(model)
    writes.push([written, outcome, model.index])
    if ((at + 1) % stride !== 0 && at + 1 < steps.length) continue
    for (const write of writes) await holdAnswer(...write)
    writes = []
    holdRows(store, model)
    // Wake-ups are handed out in turns of their own.
    await settled()
    for (const watch of watches) watch.look()
  }
  for (const watch of watches) watch.end()
}

async function holdAnswer(
  writing: Promise<Written<unknown> | Refusal>,
  wanted: Outcome | undefined,
  index: number,
): Promise<void> {
  const written = await writing
  const answer = written instanceof Refusal ? 'refused' : written.answer
  // A session's creation answers with its id.
  const given = typeof answer === 'string' && answer !== 'refused' ? true : answer
  if (given !== wanted) throw new Error(`answered ${given} instead of ${wanted}`)
  if (!(written instanceof Refusal) && written.index !== Math.max(1, index)) {
    throw new Error(`at index ${written.index} instead of ${index}`)
  }
}

/** The durable rows are the model's, all of them. */
function holdRows(store: LocalStore, model: RegistryModel): void {
  const view = store.view() as View
  for (const table of TABLES) {
    const rows = [...shown[table](view)].map(({ key, row, createIndex, modifyIndex }) => {
      const entry = { row: fields[table](row as never), createIndex, modifyIndex }
      return [key.replace('\0\0', '|'), entry]
    })
    const wanted = [...model.tables.get(table)!].toSorted(([a], [b]) => (a < b ? -1 : 1))
    const [is, should] = [JSON.stringify(rows), JSON.stringify(wanted)]
    if (is !== should) throw new Error(`${table}: ${is} instead of ${should}`)
  }
  for (const { row } of view.entries(kv)) {
    if (row.session !== '' && view.get(sessions, row.session) === undefined) {
      throw new Error('a key is held by a session that ended')
    }
  }
}

/** What the next rule is given has everything of the last one. */
function holdHead(view: Reader, model: RegistryModel): void {
  for (const key of KEYS) {
    const index = view.get(kv, key)?.modifyIndex ?? 0
    if (index !== indexOf(model, key)) throw new Error(`${key} is of ${index} for the next rule`)
  }
}
