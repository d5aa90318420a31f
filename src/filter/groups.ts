/**
 * The groups of a match: which parts of a text the parentheses of a pattern found.
 *
 * Owns running a program that saves groups, all threads at once and never going back, so that the
 * time is linear in the text. The threads are kept in order of preference: the match is the one
 * that a backtracking matcher, such as Perl's, would have found.
 */
import { limits } from '../base/limits.ts'
import { holds, type Side, sideOf } from './automaton.ts'
import { FilterError } from './expression.ts'
import type { Step } from './pattern.ts'

interface Thread {
  readonly at: number
  /** Where groups begin and end; slots of groups that were not met are missing. */
  readonly slots: readonly (number | undefined)[]
}

interface Found extends Thread {
  readonly begin: number
  readonly end: number
}

/** The match and its groups, '' for those that are not part of it; undefined without a match. */
export function groupsOf(program: readonly Step[], text: string): readonly string[] | undefined {
  const found = new Search(program, text).run()
  if (found === undefined) return undefined
  const saved = program.map(step => (step.op === 'save' ? step.slot : -1))
  const count = (Math.max(-1, ...saved) + 1) >> 1
  const groups = [text.slice(found.begin, found.end)]
  for (let group = 0; group < count; group++) {
    const [begin, end] = [found.slots[2 * group], found.slots[2 * group + 1]]
    groups.push(begin === undefined || end === undefined ? '' : text.slice(begin, end))
  }
  return groups
}

class Search {
  readonly #program: readonly Step[]
  readonly #text: string
  readonly #marks: Uint32Array
  #round = 0
  #work = 0

  constructor(program: readonly Step[], text: string) {
    this.#program = program
    this.#text = text
    this.#marks = new Uint32Array(program.length)
  }

  run(): Found | undefined {
    let threads: (Thread & { readonly begin: number })[] = []
    let found: Found | undefined
    let before: Side = 'edge'
    let position = 0
    for (;;) {
      const code = this.#text.codePointAt(position)
      const after = code === undefined ? 'edge' : sideOf(code)
      const reached: typeof threads = []
      this.#round++
      // A match may begin anywhere, as long as none was found further left.
      const starts = found === undefined ? [{ at: 0, slots: [], begin: position }] : []
      for (const thread of [...threads, ...starts]) {
        const sides = { before, after, position, code }
        const { waiting, slots } = this.#follow(thread, sides)
        reached.push(...waiting.map(next => ({ ...next, begin: thread.begin })))
        if (slots === undefined) continue
        // Whatever comes behind is less preferred.
        found = { at: 0, slots, begin: thread.begin, end: position }
        break
      }
      if (code === undefined || (reached.length === 0 && found !== undefined)) return found
      threads = reached
      before = after
      position += code > 0xffff ? 2 : 1
    }
  }

  /** Where a thread stands behind the next character; `slots` where it matches before that. */
  #follow(
    thread: Thread,
    here: { before: Side; after: Side; position: number; code: number | undefined },
  ): { waiting: Thread[]; slots: Thread['slots'] | undefined } {
    const waiting: Thread[] = []
    const open: Thread[] = [thread]
    for (let now = open.pop(); now !== undefined; now = open.pop()) {
      const { at, slots } = now
      if (this.#marks[at] === this.#round) continue
      this.#marks[at] = this.#round
      this.#spend()
      const step = this.#program[at]!
      if (step.op === 'match') return { waiting, slots }
      if (step.op === 'char') {
        const isMeant = here.code !== undefined && step.set(here.code)
        if (isMeant) waiting.push({ at: step.next, slots })
      } else if (step.op === 'split') {
        open.push({ at: step.other, slots }, { at: step.next, slots })
      } else if (step.op === 'save') {
        const saved = [...slots]
        saved[step.slot] = here.position
        open.push({ at: step.next, slots: saved })
      } else if (holds(step.what, here.before, here.after)) open.push({ at: step.next, slots })
    }
    return { waiting, slots: undefined }
  }

  #spend(): void {
    this.#work++
    if (this.#work <= limits.filterPatternWork) return
    throw new FilterError('a regular expression takes too long on the text')
  }
}
