/**
 * Reads: how one is asked as a message says it, and what its answer says of that.
 *
 * Owns the wait of a call that blocks, and that whoever lost a right meanwhile is answered by those
 * of now. What is read is the rooms'.
 */
import { Refusal } from '../../base/errors.ts'
import { Caller, isAnonymous } from '../../base/who.ts'
import {
  type Asked,
  type AskOptions,
  Consistency,
  Departure,
  type Question,
  type View,
} from '../../store/ask.ts'
import type { GrpcCall } from '../declare.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import { type DurationMessage, durationOf, type Maybe, msOf } from './values.ts'

const CONSISTENCIES = {
  CONSISTENCY_UNSPECIFIED: Consistency.default,
  CONSISTENCY_CONSISTENT: Consistency.consistent,
  CONSISTENCY_STALE: Consistency.stale,
} as const

/** The names of gatehouse.v1.Consistency. */
export type ConsistencyMessage = keyof typeof CONSISTENCIES

export interface ReadOptionsMessage {
  readonly consistency: ConsistencyMessage
  readonly index: number
  readonly wait: Maybe<DurationMessage>
}

export interface ReadStateMessage {
  readonly index: number
  readonly knownLeader: boolean
  readonly lastContact: DurationMessage
  readonly filtered: boolean
}

export type ReadPorts = Pick<RegistryGrpcPorts, 'asker' | 'authority' | 'random' | 'waits'>

/** What was read, for whom, and what the answer says of it once it is made. */
export interface Read<T> {
  readonly value: T
  readonly view: View
  readonly who: Caller
  state(): ReadStateMessage
}

/** The consistency that a message names. */
export function consistencyOf(given: ConsistencyMessage | number | undefined): Consistency {
  const name = given ?? 'CONSISTENCY_UNSPECIFIED'
  if (typeof name === 'string' && Object.hasOwn(CONSISTENCIES, name)) return CONSISTENCIES[name]
  throw new Refusal(400, `Invalid consistency: ${name}`)
}

/**
 * Asks for a view, waiting where the message says so, and reads it; a promise only where it waits.
 * `ask` may be called again with other rights.
 */
export function readAs<T>(
  ports: ReadPorts,
  call: GrpcCall,
  read: Maybe<ReadOptionsMessage>,
  ask: (who: Caller) => Question<T> | Refusal,
): Read<T> | Refusal | Promise<Read<T> | Refusal> {
  const question = ask(call.who)
  if (question instanceof Refusal) return question
  const options = optionsOf(ports, read)
  const isStale = options.consistency === Consistency.stale
  const asked = ports.asker.now(question, options)
  if (asked !== undefined) return given(ports, question, asked, call.who, isStale)
  return readLate(ports, call, { question, options }, ask)
}

async function readLate<T>(
  ports: ReadPorts,
  call: GrpcCall,
  { question, options }: { readonly question: Question<T>; readonly options: AskOptions },
  ask: (who: Caller) => Question<T> | Refusal,
): Promise<Read<T> | Refusal> {
  const { asker, authority } = ports
  const isStale = options.consistency === Consistency.stale
  const late = await waited(ports, call, question, options)
  // Time went by: who asks may have other rights now, or none.
  const who = authority.authenticate(call.token)
  if (who instanceof Refusal) return new Refusal(401, who.text)
  if (who.rights === call.who.rights) return given(ports, question, late, call.who, isStale)
  const caller = new Caller(who, call.who.request, call.who.lacked)
  const anew = ask(caller)
  if (anew instanceof Refusal) return anew
  const told = { ...late, index: asker.indexOf(late.view.revision) }
  return given(ports, anew, told, caller, isStale)
}

function given<T>(
  { asker }: ReadPorts,
  question: Question<T>,
  { view, index }: Asked,
  who: Caller,
  isStale: boolean,
): Read<T> {
  const { age } = asker
  return {
    ...{ value: question.read(view), view, who },
    state: () => stateOf(index, who, isStale ? age : undefined),
  }
}

/** What an answer says of how it was made; `age` where its view may be old. */
export function stateOf(
  index: number,
  who: Caller,
  age: { ageMs(): number; readonly isDegraded: boolean } | undefined,
): ReadStateMessage {
  const ageMs = age?.ageMs() ?? 0
  return {
    index,
    knownLeader: age?.isDegraded !== true,
    lastContact: durationOf(Number.isFinite(ageMs) ? Math.round(ageMs) : 0),
    filtered: who.lacked.count > 0 && !isAnonymous(who),
  }
}

function optionsOf({ random, waits }: ReadPorts, read: Maybe<ReadOptionsMessage>): AskOptions {
  if (!read) return PLAIN
  const { queryWaitDefaultMs, queryWaitMaxMs } = waits()
  const index = Number(read.index)
  const askedMs = msOf(read.wait) ?? 0
  const waitMs = Math.min(askedMs > 0 ? askedMs : queryWaitDefaultMs, queryWaitMaxMs)
  return {
    consistency: consistencyOf(read.consistency),
    index,
    // Herds that were woken together spread out again.
    waitMs: index > 0 ? waitMs + (random.fraction() * waitMs) / 16 : 0,
  }
}

const PLAIN: AskOptions = { consistency: Consistency.default, index: 0, waitMs: 0 }

/** The view that answers, once it does; at once where nobody waits or a right is gone. */
function waited(
  { asker, authority }: ReadPorts,
  { who, signal }: GrpcCall,
  question: Question<unknown>,
  options: AskOptions,
): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const departure = new Departure()
    const leave = (): void => departure.leave()
    const unwatch = authority.watch(who.principal, leave)
    signal.addEventListener('abort', leave, { once: true })
    const over = (): void => {
      unwatch()
      signal.removeEventListener('abort', leave)
    }
    asker.ask(question, options, departure, {
      answer(asked) {
        over()
        resolve(asked)
      },
      fail(error) {
        over()
        reject(error)
      },
    })
    if (signal.aborted) leave()
  })
}
