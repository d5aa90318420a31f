/**
 * Regular expressions by themselves, in Go's syntax and in bounded time, for whoever takes one.
 *
 * Owns the small form that others use; syntax and bounds are pattern.ts's.
 */
import { limits } from '../base/limits.ts'
import { Automaton } from './automaton.ts'
import { FilterError } from './expression.ts'
import { groupsOf } from './groups.ts'
import { programOf } from './pattern.ts'

export interface Regexp {
  /** Whether there is a match anywhere in the text; false where it takes too long to tell. */
  matches(text: string): boolean
  /** The match and its groups; undefined without one, or where it takes too long to tell. */
  groups(text: string): readonly string[] | undefined
}

/** Compiles a pattern; gives what is wrong with it, in Go's words, where it is none. */
export function compileRegexp(pattern: string): Regexp | string {
  try {
    const steps = () => ({ left: limits.filterPatternSteps })
    const automaton = new Automaton(programOf(pattern, steps()))
    const saving = programOf(pattern, steps(), 'groups')
    return {
      matches: text => bounded(() => automaton.matches(text)) ?? false,
      groups: text => bounded(() => groupsOf(saving, text)),
    }
  } catch (error) {
    if (error instanceof FilterError) return error.message.replace(PREAMBLE, '')
    throw error
  }
}

/** Which one it is, the caller knows. */
const PREAMBLE = /^Failed to compile regular expression "(?:[^"\\]|\\.)*": /

function bounded<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof FilterError) return undefined
    throw error
  }
}
