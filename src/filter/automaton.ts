/**
 * The matcher of regular expressions: whether a text has a match, in a time linear in its length.
 *
 * Owns running a program (pattern.ts) on a text: all threads at once, one character after the
 * other, never going back. Sets of threads that were seen are kept as states with their
 * transitions, within a bound; where a text makes too many of them it runs without keeping any.
 */
import { limits } from '../base/limits.ts'
import { FilterError } from './expression.ts'
import { type Assertion, isWord, type Step, type Work } from './pattern.ts'

/** What stands on one side of a place in the text. */
export type Side = 'edge' | 'newline' | 'word' | 'other'

/** Threads between two characters, before assertions are looked at. */
interface State {
  readonly seeds: readonly number[]
  readonly before: Side
  readonly next: Map<number, State | typeof FOUND>
  atEnd: boolean | undefined
}

const FOUND = Symbol('found')
const NEWLINE = 10
/** A text that needs more new states than this is matched without keeping them. */
const NEW_STATES = 64

export class Automaton {
  readonly #program: readonly Step[]
  readonly #marks: Uint32Array
  readonly #shared: Work | undefined
  #round = 0
  #work: Work = { left: 0 }
  #states = new Map<string, State>()
  #transitions = 0
  #start: State

  /** `shared` is what is left to several automatons together; without it each text has its own. */
  constructor(program: readonly Step[], shared?: Work) {
    this.#program = program
    this.#shared = shared
    this.#marks = new Uint32Array(program.length)
    this.#start = stateOf([0], 'edge')
  }

  /** Whether there is a match anywhere in the text. Throws FilterError where it takes too long. */
  matches(text: string): boolean {
    this.#work = this.#shared ?? { left: limits.filterPatternWork }
    this.#work.left -= text.length
    this.#mayGoOn()
    let state = this.#start
    let fresh = 0
    let at = 0
    while (at < text.length) {
      const code = text.codePointAt(at)!
      at += code > 0xffff ? 2 : 1
      let next = state.next.get(code)
      if (next === undefined) {
        next = fresh < NEW_STATES ? this.#kept(state, code) : this.#step(state, code)
        fresh++
      }
      if (next === FOUND) return true
      state = next
    }
    state.atEnd ??= this.#threads(state.seeds, state.before, 'edge') === FOUND
    return state.atEnd
  }

  /** The state behind a character, remembered. */
  #kept(state: State, code: number): State | typeof FOUND {
    if (
      this.#states.size >= limits.filterPatternStates ||
      this.#transitions >= limits.filterPatternTransitions
    ) {
      this.#states = new Map()
      this.#transitions = 0
      this.#start = stateOf([0], 'edge')
    }
    const reached = this.#step(state, code)
    this.#transitions++
    if (reached === FOUND) {
      state.next.set(code, FOUND)
      return FOUND
    }
    const key = `${reached.before} ${reached.seeds.toSorted((a, b) => a - b).join(' ')}`
    const known = this.#states.get(key) ?? reached
    this.#states.set(key, known)
    state.next.set(code, known)
    return known
  }

  #step({ seeds, before }: State, code: number): State | typeof FOUND {
    const side = sideOf(code)
    const threads = this.#threads(seeds, before, side)
    if (threads === FOUND) return FOUND
    this.#round++
    // A match may begin anywhere.
    const reached = [0]
    this.#marks[0] = this.#round
    for (const at of threads) {
      const step = this.#program[at]!
      if (step.op !== 'char' || this.#marks[step.next] === this.#round || !step.set(code)) continue
      this.#marks[step.next] = this.#round
      reached.push(step.next)
    }
    return stateOf(reached, side)
  }

  /** The steps that wait for a character at this place, or that a match is found. */
  #threads(seeds: readonly number[], before: Side, after: Side): number[] | typeof FOUND {
    this.#round++
    const waiting: number[] = []
    const open = [...seeds]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (this.#marks[at] === this.#round) continue
      this.#marks[at] = this.#round
      this.#work.left--
      const step = this.#program[at]!
      if (step.op === 'match') return FOUND
      if (step.op === 'char') waiting.push(at)
      else if (step.op === 'split') open.push(step.next, step.other)
      else if (step.op === 'save' || holds(step.what, before, after)) open.push(step.next)
    }
    this.#mayGoOn()
    return waiting
  }

  #mayGoOn(): void {
    if (this.#work.left >= 0) return
    throw new FilterError('a regular expression takes too long on one of the values')
  }
}

const stateOf = (seeds: readonly number[], before: Side): State => ({
  seeds,
  before,
  next: new Map(),
  atEnd: undefined,
})

/** What a character is to those beside it. */
export const sideOf = (code: number): Side =>
  code === NEWLINE ? 'newline' : isWord(code) ? 'word' : 'other'

/** Whether an assertion holds between two sides. */
export function holds(what: Assertion, before: Side, after: Side): boolean {
  switch (what) {
    case 'begin':
      return before === 'edge'
    case 'end':
      return after === 'edge'
    case 'line begin':
      return before === 'edge' || before === 'newline'
    case 'line end':
      return after === 'edge' || after === 'newline'
    case 'word edge':
      return (before === 'word') !== (after === 'word')
    case 'no word edge':
      return (before === 'word') === (after === 'word')
  }
}
