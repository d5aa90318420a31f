/** The checker against histories that are known, and against brute force on small ones. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { propertyRuns } from '../run/budget.ts'
import {
  check,
  type HistoryEvent,
  type Model,
  type Operation,
  operationsOf,
  tell,
} from './check.ts'
import {
  type KeyInput,
  type KeyOutput,
  keys,
  type LifeInput,
  type LockInput,
  type LockOutput,
  lease,
  lock,
  session,
} from './models.ts'

/** A history in short: `['a', input]` starts, `['a', input, output]` does both at once. */
function history<I extends object, O>(
  ...lines: readonly [string, I | 'ends', O?][]
): HistoryEvent<I, O>[] {
  return lines.flatMap(([process, input, output]): HistoryEvent<I, O>[] => {
    const ok = { process, kind: 'ok', output: output as O } as const
    if (input === 'ends') return [output === undefined ? { process, kind: 'unknown' } : ok]
    const invoke = { process, kind: 'invoke', input } as const
    return output === undefined ? [invoke] : [invoke, ok]
  })
}

const put = (value: string, key = 'k'): KeyInput => ({ f: 'put', key, value })
const get = (key = 'k'): KeyInput => ({ f: 'get', key })
const cas = (index: number, value: string, key = 'k'): KeyInput => ({ f: 'cas', key, index, value })
const done: KeyOutput = { done: true, found: [] }
const failed: KeyOutput = { done: false, found: [] }
const found = (value: string, index: number): KeyOutput => ({
  done: true,
  found: [{ value, index }],
})
const nothing: KeyOutput = { done: true, found: [undefined] }

const isGood = <I, O, S>(model: Model<I, O, S>, events: HistoryEvent<I, O>[]): boolean =>
  check(model, events).ok === true

t.test('a restore: all is as the archive says, and its indexes stay below later ones', async t => {
  const restore = (value: string | undefined, index: number) => ({
    f: 'restore' as const,
    entries: { k: value === undefined ? undefined : { value, index } },
  })
  const before = [['a', put('1'), done] as const, ['a', get(), found('1', 5)] as const]
  const judge = (...rest: readonly (readonly [string, object, object?])[]): boolean =>
    isGood(keys, history(...([...before, ...rest] as never[])) as never)
  t.ok(judge(['r', restore('0', 3), done], ['a', get(), found('0', 3)]))
  t.ok(judge(['r', restore(undefined, 0), done], ['a', get(), nothing]))
  t.notOk(judge(['r', restore('0', 3), done], ['a', get(), found('1', 5)]), 'it is the old state')
  t.notOk(judge(['r', restore('0', 3), done], ['a', get(), found('0', 6)]), 'another index')
  t.notOk(judge(['r', restore('0', 3), done], ['a', cas(5, '2'), done]), 'an old index matched')
  t.ok(judge(['r', restore('0', 9), done], ['a', put('2'), done], ['a', get(), found('2', 10)]))
  t.notOk(judge(['r', restore('0', 9), done], ['a', put('2'), done], ['a', get(), found('2', 8)]))
  t.ok(judge(['r', restore('0', 3)], ['r', 'ends' as never], ['a', get(), found('1', 5)]))
})

t.test('keys: what can be and what cannot', async t => {
  const good: [string, HistoryEvent<KeyInput, KeyOutput>[]][] = [
    ['nothing', []],
    ['a read of what was put', history(['a', put('1'), done], ['b', get(), found('1', 5)])],
    ['a read beside a put', history(['a', put('1')], ['b', get(), nothing], ['a', 'ends', done])],
    [
      // The delete was before the second put: as the last thing before the third, no index fits.
      'a delete that takes long, with one index between two puts',
      history(
        ...([
          ['a', put('1'), done],
          ['a', get(), found('1', 5)],
          ['b', put('2')],
          ['c', { f: 'delete', key: 'k' }],
          ['b', 'ends', done],
          ['b', get(), found('2', 7)],
          ['b', put('3'), done],
          ['b', get(), found('3', 8)],
          ['c', 'ends', done],
          ['b', get(), found('3', 8)],
        ] as never[]),
      ) as never,
    ],
    [
      'an unknown put that is seen late',
      history(['a', put('1')], ['a', 'ends'], ['b', get(), nothing], ['b', get(), found('1', 5)]),
    ],
    ['an unknown put that never came', history(['a', put('1')], ['b', get(), nothing])],
    [
      'compare and set by what was read',
      history(
        ['a', put('1'), done],
        ['b', get(), found('1', 5)],
        ['b', cas(5, '2'), done],
        ['a', cas(5, '3'), failed],
        ['a', get(), found('2', 6)],
      ),
    ],
    [
      'a failed transaction does nothing',
      history(
        ['a', put('1'), done],
        ['a', { f: 'txn', actions: [put('2'), cas(3, 'x', 'l')] } as KeyInput, failed],
        ['a', get(), found('1', 5)],
      ),
    ],
  ]
  for (const [what, events] of good) t.ok(isGood(keys, events), what)
  const bad: [string, HistoryEvent<KeyInput, KeyOutput>[]][] = [
    ['a lost write', history(['a', put('1'), done], ['b', get(), nothing])],
    [
      'a stale read',
      history(['a', put('1'), done], ['a', put('2'), done], ['b', get(), found('1', 5)]),
    ],
    [
      'a read that goes back',
      history(
        ['a', put('1'), done],
        ['c', put('2')],
        ['b', get(), found('2', 6)],
        ['b', get(), found('1', 5)],
      ),
    ],
    [
      'one index for two compares',
      history(
        ['a', put('1'), done],
        ['b', get(), found('1', 5)],
        ['b', cas(5, '2'), done],
        ['a', cas(5, '3'), done],
      ),
    ],
    [
      'half a transaction',
      history(
        ['a', { f: 'txn', actions: [put('1'), put('1', 'l')] } as KeyInput, done],
        ['b', get('k'), found('1', 5)],
        ['b', get('l'), nothing],
      ),
    ],
    [
      'an entry whose index changes',
      history(['a', put('1'), done], ['b', get(), found('1', 5)], ['b', get(), found('1', 6)]),
    ],
  ]
  for (const [what, events] of bad) t.notOk(isGood(keys, events), what)
})

t.test('writes that nobody knows of and nobody saw are not in the way', async t => {
  const lost = Array.from({ length: 40 }, (_, at) => [`lost${at}`, put(`lost ${at}`)] as const)
  const known = Array.from({ length: 40 }, (_, at) => [
    ['a', put(`${at}`), done] as const,
    ['b', get(), found(`${at}`, 5 + at)] as const,
    ['c', cas(5 + at - 1, `never ${at}`), failed] as const,
  ]).flat()
  t.ok(isGood(keys, history(...lost.map(one => [...one] as never), ...(known as never[]))))
  // One of them shows itself: it is part of what is explained.
  const seen = ['b', get(), found('lost 7', 500)] as const
  t.ok(isGood(keys, history(['l', put('lost 7')], ...(known as never[]), [...seen])))
  t.notOk(isGood(keys, history(...(known as never[]), [...seen])))
})

t.test('locks and sessions: what can be and what cannot', async t => {
  const acquire = (name: string): LockInput => ({ f: 'acquire', key: 'k', session: name })
  const release = (name: string): LockInput => ({ f: 'release', key: 'k', session: name })
  const look: LockInput = { f: 'look', key: 'k' }
  const yes: LockOutput = { done: true }
  const no: LockOutput = { done: false }
  const held = (holder: string, fence: number): LockOutput => ({ holder, fence })
  t.ok(isGood(lock, history(['a', acquire('s'), yes], ['b', acquire('r'), no])))
  t.ok(isGood(lock, history(['a', acquire('s'), yes], ['b', acquire('r'), yes])), 'after its end')
  t.notOk(isGood(lock, history(['a', acquire('s'), no])), 'a free lock is given')
  t.notOk(
    isGood(
      lock,
      history(['a', acquire('s'), yes], ['b', acquire('r'), yes], ['b', look, held('s', 1)]),
    ),
    'a lock does not come back',
  )
  t.notOk(
    isGood(
      lock,
      history(['a', acquire('s'), yes], ['a', release('s'), yes], ['b', look, held('s', 1)]),
    ),
    'what was given back is free',
  )
  t.notOk(
    isGood(
      lock,
      history(['a', acquire('s'), yes], ['b', acquire('r'), yes], ['c', look, held('r', 1)]),
    ),
    'each holder has a fence of its own',
  )
  const alive = { alive: true }
  const over = { alive: false }
  const create: LifeInput = { f: 'create', id: 's' }
  const renew: LifeInput = { f: 'renew', id: 's' }
  const end: LifeInput = { f: 'end', id: 's' }
  for (const model of [session, lease]) {
    t.ok(isGood(model, history(['a', create, alive], ['a', renew, alive], ['a', renew, over])))
    t.notOk(isGood(model, history(['a', create, alive], ['a', renew, over], ['a', renew, alive])))
    t.notOk(
      isGood(model, history(['a', create, alive], ['b', end, alive], ['a', renew, alive])),
      model.name,
    )
  }
})

t.test('a counterexample is small and readable', async t => {
  const noise = Array.from({ length: 20 }, (_, at) =>
    history<KeyInput, KeyOutput>(['n', put(`n${at}`), done], ['n', get(), found(`n${at}`, at + 1)]),
  ).flat()
  const events = [...noise, ...history<KeyInput, KeyOutput>(['b', get(), found('n3', 4)])]
  const verdict = check(keys, events)
  t.equal(verdict.ok, false)
  if (verdict.ok !== false) return
  t.ok(verdict.counterexample.length <= 22, `${verdict.counterexample.length} operations`)
  t.match(tell(verdict.counterexample), /\{"f":"get","key":"k"\} -> .*n3/)
  t.throws(() => check(keys, history(['a', 'ends', done])), /never started/)
  t.throws(() => check(keys, history(['a', get()], ['a', get()])), /before its last/)
})

// --- brute force: every order of every choice of the unknown ones

function isExplained<I, O, S>(
  model: Model<I, O, S>,
  left: Operation<I, O>[],
  states: S[],
): boolean {
  if (left.every(({ end }) => end === undefined)) return true
  return left.some(next => {
    // What ended before this one began must come before it.
    const isFirst = left.every(({ end }) => end === undefined || end > next.start)
    if (!isFirst) return false
    const drifted = states.flatMap(state => [state, ...(model.drift?.(state) ?? [])])
    const stepped = drifted.flatMap(state => [...model.step(state, next.input, next.output)])
    const after = [...new Map(stepped.map(state => [model.keyOf(state), state])).values()]
    const others = left.filter(one => one !== next)
    return after.length > 0 && isExplained(model, others, after)
  })
}

/** A history of `processes`, from choices: who goes on, with what, and how it ends. */
function generated<I, O>(
  choices: readonly { who: number; how: number; input: I; output: O }[],
): HistoryEvent<I, O>[] {
  const open = new Map<string, O>()
  const events: HistoryEvent<I, O>[] = []
  for (const { who, how, input, output } of choices) {
    const process = `p${who}`
    const ending = open.get(process)
    if (ending === undefined) {
      events.push({ process, kind: 'invoke', input })
      open.set(process, output)
      continue
    }
    open.delete(process)
    const kind = how === 0 ? 'unknown' : how === 1 ? 'fail' : 'ok'
    events.push(kind === 'ok' ? { process, kind, output: ending } : { process, kind })
  }
  return events
}

function compared<I, O, S>(
  model: Model<I, O, S>,
  inputs: fc.Arbitrary<I>,
  outputs: fc.Arbitrary<O>,
): { readonly good: number; readonly bad: number } {
  const tally = { good: 0, bad: 0 }
  const choice = fc.record({
    who: fc.nat(2),
    how: fc.nat(9),
    input: inputs,
    output: outputs,
  })
  const property = fc.property(fc.array(choice, { maxLength: 11 }), choices => {
    const events = generated(choices)
    const wanted = isExplained(model, operationsOf(events), [model.initial])
    const verdict = check(model, events)
    assert.equal(verdict.ok, wanted)
    tally[wanted ? 'good' : 'bad']++
    if (verdict.ok !== false) return
    const part = [...verdict.counterexample]
    assert.equal(isExplained(model, part, [model.initial]), false, 'a counterexample is one')
  })
  fc.assert(property, { numRuns: 20 * propertyRuns() })
  return tally
}

t.test('equal to brute force', async t => {
  const key = fc.constantFrom('k', 'l')
  const value = fc.constantFrom('1', '2')
  const action = fc.oneof(
    fc.record({ f: fc.constant('get' as const), key }),
    fc.record({ f: fc.constant('put' as const), key, value }),
    fc.record({ f: fc.constant('delete' as const), key }),
    fc.record({ f: fc.constant('cas' as const), key, index: fc.nat(2), value }),
  )
  const ofKeys: fc.Arbitrary<KeyInput> = fc.oneof(
    { weight: 4, arbitrary: action },
    fc.record({
      f: fc.constant('txn' as const),
      actions: fc.array(action, { minLength: 1, maxLength: 2 }),
    }),
  )
  const entry = fc.option(fc.record({ value, index: fc.integer({ min: 1, max: 2 }) }), {
    nil: undefined,
  })
  const outputs = fc.record({
    done: fc.boolean(),
    found: fc.tuple(entry, entry),
  })
  const name = fc.constantFrom('s', 'r')
  const ofLocks = fc.record({
    f: fc.constantFrom('acquire' as const, 'release' as const),
    key: fc.constant('k'),
    session: name,
  })
  const looks = fc.record({ f: fc.constant('look' as const), key: fc.constant('k') })
  const lockOutputs = fc.oneof(
    fc.record({ done: fc.boolean() }),
    fc.record({ holder: fc.constantFrom('', 's', 'r'), fence: fc.nat(2) }),
  )
  const lives = fc.record({
    f: fc.constantFrom('create' as const, 'renew' as const, 'end' as const, 'look' as const),
    id: fc.constant('i'),
  })
  const tallies = [
    compared(keys, ofKeys, outputs),
    compared(lock, fc.oneof(ofLocks, looks), lockOutputs),
    compared(session, lives, fc.record({ alive: fc.boolean() })),
  ]
  for (const { good, bad } of tallies) t.ok(good > 100 && bad > 100, `${good} good, ${bad} bad`)
})
