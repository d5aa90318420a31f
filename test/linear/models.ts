/**
 * What clients may see of keys, locks, sessions and leases, as models for check.ts.
 *
 * Owns the meaning of operations, in the words of the wire and of nothing else. `undefined` as an
 * output stands for an unknown one; then the step gives what it may have done.
 */
import type { Model } from './check.ts'

// --- keys: put, get, delete, compare-and-set, and transactions over several of them

/** A single operation on a key. `index` is the ModifyIndex that a client has read; 0: no key. */
export type KeyAction =
  | { readonly f: 'get'; readonly key: string }
  | { readonly f: 'put'; readonly key: string; readonly value: string }
  | { readonly f: 'delete'; readonly key: string }
  | {
      readonly f: 'cas'
      readonly key: string
      readonly index: number
      /** Undefined: the key is deleted, which may also be said of one that is not there. */
      readonly value: string | undefined
    }

/** An operation on keys; a transaction does all of its actions or none. */
export type KeyInput = KeyAction | { readonly f: 'txn'; readonly actions: readonly KeyAction[] }

/** All keys that are named become what an archive says of them. */
export interface Restoring {
  readonly f: 'restore'
  readonly entries: Readonly<Record<string, Found>>
}

/** What a get found; undefined where there is no key. */
export type Found = { readonly value: string; readonly index: number } | undefined

/**
 * `done` is false of a compare that failed, and of a transaction in which one did. `found` has one
 * entry for each get that was done, in order.
 */
export interface KeyOutput {
  readonly done: boolean
  readonly found: readonly Found[]
}

interface Entry {
  /** Undefined: there is no key. */
  readonly value: string | undefined
  /** Undefined while nobody has read it. */
  readonly index: number | undefined
  /** The index is larger than this: an index is never given twice. */
  readonly above: number
}
type Keys = ReadonlyMap<string, Entry>

const ABSENT: Entry = { value: undefined, index: 0, above: 0 }

/** Keys with their ModifyIndex. Values that are put must differ, so that reads say which it was. */
export const keys: Model<KeyInput | Restoring, KeyOutput, Keys> = {
  name: 'keys',
  initial: new Map(),
  keysOf: input =>
    input.f === 'restore'
      ? Object.keys(input.entries)
      : (input.f === 'txn' ? input.actions : [input]).map(({ key }) => key),
  keyOf: state =>
    [...state]
      // What an index must be above decides what may be read of it: states that differ in it
      // differ.
      .map(([key, { value, index, above }]) => `${key}=${value}@${index ?? `>${above}`}`)
      .sort()
      .join(),
  isRead: input =>
    input.f !== 'restore' &&
    (input.f === 'txn' ? input.actions : [input]).every(({ f }) => f === 'get'),
  traceOf(input) {
    if (input.f === 'restore') return undefined
    const actions = input.f === 'txn' ? input.actions : [input]
    const [one, other] = actions.filter(({ f }) => f !== 'get')
    return other === undefined && one !== undefined && 'value' in one ? one.value : undefined
  },
  tracesIn: ({ found }) => found.flatMap(one => one?.value ?? []),
  step(state, input, output) {
    if (input.f === 'restore') return [restored(state, input)]
    const actions = input.f === 'txn' ? input.actions : [input]
    const failed = output?.done !== true ? failures(state, actions) : []
    const worked = output?.done !== false ? successes(state, actions, output?.found) : []
    return [...failed, ...worked]
  },
}

/** An archive's entries keep the indexes that they had; later ones are above them. */
function restored(state: Keys, { entries }: Restoring): Keys {
  const now = new Map(state)
  for (const [key, found] of Object.entries(entries)) {
    const index = found?.index ?? 0
    now.set(key, { value: found?.value, index, above: index })
  }
  return now
}

/** The states in which all actions work, and what they make of them. */
function successes(
  state: Keys,
  actions: readonly KeyAction[],
  found: readonly Found[] | undefined,
): readonly Keys[] {
  let now: Keys | undefined = state
  let reads = 0
  for (const action of actions) {
    if (now === undefined) return []
    if (action.f === 'get') {
      if (found !== undefined) now = read(now, action.key, found[reads++])
    } else if (action.f === 'put') now = withEntry(now, action.key, action.value)
    else if (action.f === 'delete') now = withEntry(now, action.key, undefined)
    else if (action.value !== undefined || now.get(action.key)?.value !== undefined) {
      const held: Keys | undefined = compared(now, action)
      now = held && withEntry(held, action.key, action.value)
    }
  }
  return now === undefined ? [] : [now]
}

/** The state in which some action fails: nothing happens then. */
function failures(state: Keys, actions: readonly KeyAction[]): readonly Keys[] {
  const mayFail = actions.some(action => {
    if (action.f !== 'cas') return false
    const entry = state.get(action.key) ?? ABSENT
    if (entry.value === undefined) return action.index !== 0
    // An entry that this transaction puts first is not looked at: its index is not known.
    return action.index === 0 || entry.index !== action.index
  })
  return mayFail ? [state] : []
}

/** The state in which a compare holds; where the index was not known, it is now. */
function compared(state: Keys, { key, index }: { key: string; index: number }): Keys | undefined {
  const entry = state.get(key) ?? ABSENT
  if (index === 0) return entry.value === undefined ? state : undefined
  if (entry.value === undefined) return undefined
  if (entry.index === undefined ? index <= entry.above : index !== entry.index) return undefined
  return new Map(state).set(key, { ...entry, index })
}

function read(state: Keys, key: string, found: Found): Keys | undefined {
  const { value } = state.get(key) ?? ABSENT
  if (found === undefined) return value === undefined ? state : undefined
  return value === found.value ? compared(state, { key, index: found.index }) : undefined
}

function withEntry(state: Keys, key: string, value: string | undefined): Keys {
  const { value: before, index, above } = state.get(key) ?? ABSENT
  if (value === undefined && before === undefined) return state
  return new Map(state).set(key, { value, index: undefined, above: index ?? above + 1 })
}

// --- locks: a key that a session holds

/** `look` reads the key with its holder; `fence` is the LockIndex, which grows by acquisition. */
export type LockInput =
  | { readonly f: 'acquire'; readonly key: string; readonly session: string }
  | { readonly f: 'release'; readonly key: string; readonly session: string }
  | { readonly f: 'look'; readonly key: string }

/** The lock becomes what an archive says of it. */
export interface LockRestoring {
  readonly f: 'restore'
  readonly key: string
  readonly holder: string
  readonly fence: number
}

/** `holder` is '' for nobody. */
export type LockOutput =
  | { readonly done: boolean }
  | { readonly holder: string; readonly fence: number }

interface Lock {
  readonly holder: string
  readonly fence: number
  /** Freed by the end of a session: others may be refused for a while. */
  readonly delayed: boolean
}

/**
 * A lock. It may become free by itself at any time, since sessions end; it can never pass from one
 * holder to the next without that, and the fence never goes back.
 */
export const lock: Model<LockInput | LockRestoring, LockOutput, Lock> = {
  name: 'lock',
  initial: { holder: '', fence: 0, delayed: false },
  keysOf: ({ key }) => [key],
  keyOf: ({ holder, fence, delayed }) => `${holder}/${fence}/${delayed}`,
  isRead: ({ f }) => f === 'look',
  drift: state => (state.holder === '' ? [] : [{ ...state, holder: '', delayed: true }]),
  step(state, input, output) {
    if (input.f === 'look') return looked(state, output)
    if (input.f === 'restore') {
      const { holder, fence } = input
      return [false, true].map(delayed => ({ holder, fence, delayed }))
    }
    const done = output === undefined || !('done' in output) ? undefined : output.done
    const isFree = state.holder === ''
    const isOurs = state.holder === input.session
    const after: Lock[] = []
    if (input.f === 'acquire') {
      if (done !== false && isOurs) after.push(state)
      if (done !== false && isFree) {
        after.push({ holder: input.session, fence: state.fence + 1, delayed: false })
      }
      if (done !== true && !isOurs && (!isFree || state.delayed)) after.push(state)
    } else {
      if (done !== false && isOurs) after.push({ ...state, holder: '', delayed: false })
      if (done !== true && !isOurs) after.push(state)
    }
    return after
  },
}

function looked(state: Lock, output: LockOutput | undefined): readonly Lock[] {
  if (output === undefined || !('holder' in output)) return [state]
  return output.holder === state.holder && output.fence === state.fence ? [state] : []
}

// --- sessions and leases: things that are there until they end

/** `renew` also stands for any other proof of life, `look` for a read. */
export type LifeInput = {
  readonly f: 'create' | 'renew' | 'end' | 'look' | 'restore'
  readonly id: string
}

/** Whether the thing was there. */
export interface LifeOutput {
  readonly alive: boolean
}

type Life = 'never' | 'alive' | 'over'

/** A session: made once, ended by somebody or by time, and never there again. */
export const session: Model<LifeInput, LifeOutput, Life> = {
  name: 'session',
  initial: 'never',
  keysOf: ({ id }) => [id],
  keyOf: state => state,
  isRead: ({ f }) => f === 'renew' || f === 'look',
  drift: state => (state === 'alive' ? ['over'] : []),
  step(state, { f }, output) {
    if (f === 'restore') return ['alive']
    if (f === 'create') return state === 'never' ? ['alive'] : []
    // To end what is not there is no fault, and says nothing about it.
    if (f === 'end') return [state === 'never' ? 'never' : 'over']
    if (output === undefined) return [state]
    return output.alive === (state === 'alive') ? [state] : []
  },
}

/** A lease lives as a session does. */
export const lease: Model<LifeInput, LifeOutput, Life> = { ...session, name: 'lease' }
