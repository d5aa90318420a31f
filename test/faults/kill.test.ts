/**
 * kill -9 under load: every acknowledged write is there afterwards, and the folder opens by itself.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { chainFault } from '../../src/store/journal.ts'
import type { LocalStore } from '../../src/store/local.ts'
import { freshFolder } from '../fake/folder.ts'
import { seeded } from '../fake/random.ts'
import { isLong, reached, untilBudget } from '../run/budget.ts'
import { changesAfter, openLevel } from './level.ts'
import { checkCold, numberIn, shownAfter, WRITERS } from './numbers.ts'

const WRITER = fileURLToPath(new URL('./writer.ts', import.meta.url))
const KILLS_PER_FOLDER = 10
const FIRST_OF_ROUND = 1_000_000

type Told = readonly [writer: number, number: number, revision: number]

/** What a writer had told before it was killed, and the last of each of its writers. */
interface Acknowledged {
  readonly told: readonly Told[]
  readonly last: ReadonlyMap<number, { readonly number: number; readonly revision: number }>
}

t.test('every acknowledged write survives kill -9', async t => {
  let folder = ''
  let acknowledgements = 0
  let writers: (number | undefined)[] = []
  const kills = await untilBudget(
    'kills under load',
    100,
    async index => {
      const round = index % KILLS_PER_FOLDER
      if (round === 0) {
        folder = freshFolder(t)
        writers = Array.from({ length: WRITERS }, () => undefined)
      }
      const acknowledged = await killOnce(folder, round, index)
      acknowledgements += acknowledged.told.length
      const store = await openLevel(folder)
      writers = check(store, writers, acknowledged, round)
      await checkCold(store)
      await checkJournal(store, acknowledged.told)
      // The log tells the whole way here, and the next life goes on from it.
      await changesAfter(store, store.status().compacted)
      await store.close()
    },
    20,
  )
  reached('acknowledged writes before a kill', acknowledgements)
  t.ok(kills >= (isLong ? 100 : 20))
  t.ok(acknowledgements > 100 * kills, 'there was load')
})

/** Runs the writer, kills it at some moment and gives what it had acknowledged, by writer. */
async function killOnce(folder: string, round: number, seed: number): Promise<Acknowledged> {
  const draw = seeded(seed)
  const child = spawn(process.execPath, ['--no-warnings', WRITER, folder, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const lines: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(text))
  await momentOfDeath(child, draw.below(100), draw.below(400))
  child.kill('SIGKILL')
  const [, signal] = await closed
  if (signal !== 'SIGKILL') throw new Error('the writer ended by itself')
  // The last line may be cut off; then it was not fully told.
  const told = lines
    .join('')
    .split('\n')
    .slice(0, -1)
    .filter(line => line !== 'open')
    .map(line => line.split(' ').map(Number) as [number, number, number])
  const last = new Map(told.map(([writer, number, revision]) => [writer, { number, revision }]))
  return { told, last }
}

/** Sometimes while it opens the folder, sometimes right after, mostly under full load. */
async function momentOfDeath(child: ChildProcess, kind: number, delayMs: number): Promise<void> {
  if (kind < 15) await sleep(delayMs)
  else {
    await once(child.stdout!, 'data')
    if (kind >= 25) await sleep(delayMs)
  }
}

/** Throws when a writer's rows are none of those that they may be; gives what they are. */
function check(
  store: LocalStore,
  before: readonly (number | undefined)[],
  acknowledged: Acknowledged,
  round: number,
): (number | undefined)[] {
  return before.map((was, writer) => {
    const last = acknowledged.last.get(writer)
    // The write that was under way may have been made durable before its answer.
    const next = last === undefined ? round * FIRST_OF_ROUND : last.number + 1
    const sure = last === undefined ? was : shownAfter(last.number)
    const is = numberIn(store, writer)
    if (is !== sure && is !== shownAfter(next)) {
      throw new Error(`writer ${writer} has ${is}, acknowledged was ${sure}, next ${next}`)
    }
    if (last !== undefined && store.view().revision < last.revision) {
      throw new Error(`revision ${store.view().revision} is before ${last.revision}`)
    }
    return is
  })
}

/** Throws unless the journal is whole and has the record of each acknowledged write. */
async function checkJournal({ journal }: LocalStore, told: readonly Told[]): Promise<void> {
  const missing = new Set(told.map(words => words.join(' ')))
  const refused = new Set(
    told.filter(([, number]) => number % 11 === 3).map(([writer, number]) => `${writer} ${number}`),
  )
  let mark = journal.floor()
  for (;;) {
    const records = await journal.read(mark.sequence + 1, 1_000)
    for (const record of records) {
      const fault = chainFault(mark, record)
      if (fault !== undefined) throw new Error(fault)
      mark = record
      const { kind, writer, number, revision } = JSON.parse(record.text.toString('utf8'))
      if (kind === 'refused') refused.delete(`${writer} ${number}`)
      else missing.delete(`${writer} ${number} ${revision}`)
    }
    if (records.length === 0) break
  }
  const [first] = [...missing, ...refused]
  if (first !== undefined) throw new Error(`acknowledged without a record: ${first}`)
}
