/**
 * Regular expressions of filters: the parser of Go's syntax (RE2) and the program that it gives.
 *
 * Owns what a pattern may say and its bounds. There is nothing in the language that needs going
 * back, so a program runs in a time that is linear in the text (automaton.ts); JavaScript's own
 * engine can be made to hang, and is therefore not used. Classes outside of ASCII are the engine's.
 */
import { limits } from '../base/limits.ts'
import { FilterError, quote } from './expression.ts'

/** Whether a character, by its code point, is meant. */
export type CharSet = (code: number) => boolean

export type Assertion = 'begin' | 'end' | 'line begin' | 'line end' | 'word edge' | 'no word edge'

/** A step of a program; numbers are positions in it. It begins at 0, and `next` is preferred. */
export type Step =
  | { readonly op: 'char'; readonly set: CharSet; readonly next: number }
  | { readonly op: 'split'; readonly next: number; readonly other: number }
  | { readonly op: 'assert'; readonly what: Assertion; readonly next: number }
  /** Where a group begins (an even slot) or ends; only where groups are asked for. */
  | { readonly op: 'save'; readonly slot: number; readonly next: number }
  | { readonly op: 'match' }

/** Steps that programs may still take on the texts of one item. */
export interface Work {
  left: number
}

/** Steps that are left to the patterns of one expression; and what they may do, all together. */
export interface StepBudget {
  left: number
  readonly work?: Work
}

/** The program of a pattern; with `groups` it says where they are found. Throws FilterError. */
export function programOf(
  pattern: string,
  budget: StepBudget,
  groups: 'groups' | 'no groups' = 'no groups',
): readonly Step[] {
  const compiler = new Compiler(pattern, budget, groups === 'groups')
  const parser = new PatternParser(pattern)
  const tree = parser.alternatives(0, { fold: false, lines: false, dotAll: false, lazy: false })
  parser.end()
  return compiler.program(tree)
}

type Tree =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Tree[] }
  | { readonly kind: 'group'; readonly part: Tree; readonly number: number }
  | Repeat

interface Repeat {
  readonly kind: 'repeat'
  readonly part: Tree
  readonly min: number
  readonly max: number
  /** Whether as few as possible are taken. */
  readonly lazy: boolean
}

interface Flags {
  readonly fold: boolean
  readonly lines: boolean
  readonly dotAll: boolean
  readonly lazy: boolean
}

class Compiler {
  readonly #pattern: string
  readonly #budget: StepBudget
  readonly #savesGroups: boolean
  readonly #steps: Step[] = []

  constructor(pattern: string, budget: StepBudget, savesGroups: boolean) {
    this.#pattern = pattern
    this.#budget = budget
    this.#savesGroups = savesGroups
  }

  /** From the end to the start: each part is told where it goes on. The entry stands at 0. */
  program(tree: Tree): readonly Step[] {
    this.#steps.push({ op: 'split', next: 0, other: 0 })
    const entry = this.#add(tree, this.#push({ op: 'match' }))
    this.#steps[0] = { op: 'split', next: entry, other: entry }
    return this.#steps
  }

  #push(step: Step): number {
    this.#spend()
    return this.#steps.push(step) - 1
  }

  /** Groups count too: repeated often enough, empty ones would take time without a step. */
  #spend(): void {
    this.#budget.left--
    if (this.#budget.left < 0) {
      const bound = `more than ${limits.filterPatternSteps} steps`
      throw fault(this.#pattern, `the regular expressions of the filter have ${bound}`)
    }
  }

  #add(tree: Tree, next: number): number {
    if (tree.kind === 'set') return this.#push({ op: 'char', set: tree.set, next })
    if (tree.kind === 'assert') return this.#push({ op: 'assert', what: tree.what, next })
    if (tree.kind === 'repeat') return this.#repeat(tree, next)
    this.#spend()
    if (tree.kind === 'group') return this.#group(tree.part, 2 * (tree.number - 1), next)
    if (tree.kind === 'sequence')
      return tree.parts.reduceRight((at, part) => this.#add(part, at), next)
    const entries = tree.parts.map(part => this.#add(part, next))
    return entries.reduceRight((other, entry) => this.#push({ op: 'split', next: entry, other }))
  }

  #group(part: Tree, slot: number, next: number): number {
    if (!this.#savesGroups) return this.#add(part, next)
    const end = this.#push({ op: 'save', slot: slot + 1, next })
    return this.#push({ op: 'save', slot, next: this.#add(part, end) })
  }

  #repeat({ part, min, max, lazy }: Repeat, next: number): number {
    const either = (more: number): Step =>
      lazy ? { op: 'split', next, other: more } : { op: 'split', next: more, other: next }
    let entry = next
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.#push({ op: 'split', next, other: next })
      this.#steps[loop] = either(this.#add(part, loop))
      entry = loop
    } else {
      for (let count = min; count < max; count++) {
        entry = this.#push(either(this.#add(part, entry)))
      }
    }
    for (let count = 0; count < min; count++) entry = this.#add(part, entry)
    return entry
  }
}

const fault = (pattern: string, problem: string): FilterError =>
  new FilterError(`Failed to compile regular expression ${shown(pattern)}: ${problem}`)

const SHOWN_CHARS = 64
const shown = (pattern: string): string => quote(pattern.slice(0, SHOWN_CHARS))

class PatternParser {
  readonly #pattern: string
  readonly #characters: readonly string[]
  #at = 0
  #groups = 0

  constructor(pattern: string) {
    this.#pattern = pattern
    this.#characters = [...pattern]
  }

  end(): void {
    if (this.#at < this.#characters.length) throw this.#fault('unexpected ): `)`')
  }

  alternatives(depth: number, outer: Flags): Tree {
    if (depth > limits.filterDepth) throw this.#fault('expression nests too deeply')
    let flags = outer
    const choices: Tree[] = []
    let sequence: Tree[] = []
    for (;;) {
      const character = this.#characters[this.#at]
      if (character === undefined || character === ')') break
      if (this.#taken('|')) {
        choices.push({ kind: 'sequence', parts: sequence })
        sequence = []
        continue
      }
      if (this.#isAt('(?')) {
        const group = this.#group(depth, flags)
        if ('kind' in group) sequence.push(this.#repeated(group, flags))
        else flags = group
      } else if (this.#isAt('\\Q')) sequence.push(...this.#quoted(flags))
      else sequence.push(this.#repeated(this.#atom(depth, flags), flags))
    }
    choices.push({ kind: 'sequence', parts: sequence })
    return choices.length === 1 ? choices[0]! : { kind: 'choice', parts: choices }
  }

  /** From `(?`: a group, or the flags of what follows. */
  #group(depth: number, flags: Flags): Tree | Flags {
    this.#at += 2
    if (this.#skipped(/^P?<[A-Za-z0-9_]+>/)) return this.#capturing(depth, flags)
    const text = this.#skipped(/^[imsU]*(-[imsU]+)?(?=[:)])/)
    if (text === undefined || (text === '' && this.#isAt(')'))) {
      throw this.#fault('invalid or unsupported Perl syntax: `(?`')
    }
    const [on = '', off = ''] = text.split('-')
    const set = (flag: string, now: boolean): boolean =>
      on.includes(flag) || (now && !off.includes(flag))
    const changed = {
      fold: set('i', flags.fold),
      lines: set('m', flags.lines),
      dotAll: set('s', flags.dotAll),
      lazy: set('U', flags.lazy),
    }
    if (this.#taken(':')) return this.#groupRest(depth, changed)
    this.#at++
    return changed
  }

  /** Groups are numbered from 1 in the order in which they open. */
  #capturing(depth: number, flags: Flags): Tree {
    const number = ++this.#groups
    return { kind: 'group', part: this.#groupRest(depth, flags), number }
  }

  #groupRest(depth: number, flags: Flags): Tree {
    const inside = this.alternatives(depth + 1, flags)
    if (!this.#taken(')')) throw this.#fault('missing closing )')
    return inside
  }

  #repeated(part: Tree, flags: Flags): Tree {
    const range = this.#quantifier()
    if (range === undefined) return part
    const lazy = this.#taken('?') !== flags.lazy
    if (this.#quantifier() !== undefined) {
      throw this.#fault('invalid nested repetition operator')
    }
    return { kind: 'repeat', part, ...range, lazy }
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#taken('*')) return { min: 0, max: Number.POSITIVE_INFINITY }
    if (this.#taken('+')) return { min: 1, max: Number.POSITIVE_INFINITY }
    if (this.#taken('?')) return { min: 0, max: 1 }
    const counted = this.#skipped(/^\{\d+(,\d*)?\}/)
    if (counted === undefined) return undefined
    const [min = '', max] = counted.slice(1, -1).split(',')
    const range = {
      min: Number(min),
      max: max === '' ? Number.POSITIVE_INFINITY : Number(max ?? min),
    }
    const most = Number.isFinite(range.max) ? range.max : range.min
    if (Math.max(range.min, most) > limits.filterPatternRepeats || range.max < range.min) {
      throw this.#fault(`invalid repeat count: \`${counted}\``)
    }
    return range
  }

  #atom(depth: number, flags: Flags): Tree {
    const character = this.#next()
    switch (character) {
      case '(':
        return this.#capturing(depth, flags)
      case '.':
        return setOf(flags.dotAll ? () => true : code => code !== NEWLINE)
      case '^':
        return { kind: 'assert', what: flags.lines ? 'line begin' : 'begin' }
      case '$':
        return { kind: 'assert', what: flags.lines ? 'line end' : 'end' }
      case '[':
        return setOf(this.#bracket(flags))
      case '\\':
        return this.#escape(flags)
      case '*':
      case '+':
      case '?':
        throw this.#fault(`missing argument to repetition operator: \`${character}\``)
      default:
        return setOf(literal(codeOf(character), flags))
    }
  }

  #escape(flags: Flags): Tree {
    const assertion = ASSERTIONS[this.#characters[this.#at] ?? '']
    if (assertion !== undefined) {
      this.#at++
      return { kind: 'assert', what: assertion }
    }
    const named = this.#class()
    return setOf(named === undefined ? literal(this.#escaped(), flags) : folded(named, flags))
  }

  /** `\Q…\E`: all of it as it stands. */
  #quoted(flags: Flags): Tree[] {
    this.#at += 2
    const parts: Tree[] = []
    while (this.#at < this.#characters.length && !this.#isAt('\\E')) {
      parts.push(setOf(literal(codeOf(this.#next()), flags)))
    }
    this.#at += 2
    const last = parts.pop()
    return last === undefined ? [] : [...parts, this.#repeated(last, flags)]
  }

  /** Behind a backslash: a class of characters, `d` and its like or `pL`. */
  #class(): CharSet | undefined {
    const name = this.#characters[this.#at] ?? ''
    const known = PERL[name.toLowerCase()]
    if (known !== undefined) {
      this.#at++
      return name === name.toLowerCase() ? known : not(known)
    }
    if (name !== 'p' && name !== 'P') return undefined
    const text = this.#skipped(/^[pP](\{\^?\w+\}|[A-Z])/)
    const property = text === undefined ? undefined : unicodeClass(text.replaceAll(/[{}^]|^./g, ''))
    if (property === undefined) throw this.#fault(`invalid character class range: \`\\${name}\``)
    return (name === 'P') === text?.includes('^') ? property : not(property)
  }

  /** Behind a backslash: the one character that is meant. */
  #escaped(): number {
    const digits = this.#skipped(/^(x[0-9a-fA-F]{2}|x\{[0-9a-fA-F]+\}|0[0-7]{0,2}|[1-7][0-7]{1,2})/)
    if (digits !== undefined) {
      const code = digits.startsWith('x')
        ? Number.parseInt(digits.replaceAll(/[x{}]/g, ''), 16)
        : Number.parseInt(digits, 8)
      if (code <= CODE_POINT_MAX) return code
      throw this.#fault(`invalid escape sequence: \`\\${digits}\``)
    }
    const character = this.#characters[this.#at]
    if (character === undefined) throw this.#fault('trailing backslash at end of expression: ``')
    const control = CONTROLS.indexOf(character)
    if (control === -1 && (/\w/.test(character) || codeOf(character) > ASCII_MAX)) {
      throw this.#fault(`invalid escape sequence: \`\\${character}\``)
    }
    this.#at++
    return control === -1 ? codeOf(character) : FIRST_CONTROL + control
  }

  #bracket(flags: Flags): CharSet {
    const isNot = this.#taken('^')
    const sets: CharSet[] = []
    for (let isFirst = true; isFirst || !this.#isAt(']'); isFirst = false) {
      if (this.#at >= this.#characters.length) throw this.#fault('missing closing ]')
      sets.push(this.#posix() ?? this.#member())
    }
    this.#at++
    const any = folded(code => sets.some(set => set(code)), flags)
    return isNot ? not(any) : any
  }

  #posix(): CharSet | undefined {
    const text = this.#skipped(/^\[:\^?\w+:\]/)
    if (text === undefined) return undefined
    const named = POSIX[text.replaceAll(/\W/g, '')]
    if (named === undefined) throw this.#fault(`invalid character class range: \`${text}\``)
    const set: CharSet = code => code <= ASCII_MAX && named.test(String.fromCharCode(code))
    return text.includes('^') ? not(set) : set
  }

  /** One character, a range of them, or a class, between brackets. */
  #member(): CharSet {
    if (this.#taken('\\')) {
      const named = this.#class()
      if (named !== undefined) return named
      return this.#range(this.#escaped())
    }
    return this.#range(codeOf(this.#next()))
  }

  #range(low: number): CharSet {
    const isRange = this.#isAt('-') && !this.#isAt('-]') && this.#at + 1 < this.#characters.length
    if (!isRange) return code => code === low
    this.#at++
    const high = this.#taken('\\') ? this.#escaped() : codeOf(this.#next())
    if (high < low) throw this.#fault('invalid character class range')
    return code => code >= low && code <= high
  }

  #next(): string {
    const character = this.#characters[this.#at]
    if (character === undefined) throw this.#fault('missing closing ]')
    this.#at++
    return character
  }

  #isAt(text: string): boolean {
    return (
      this.#characters[this.#at] === text[0] &&
      (text.length === 1 || this.#characters[this.#at + 1] === text[1])
    )
  }

  #taken(character: string): boolean {
    const isThere = this.#characters[this.#at] === character
    if (isThere) this.#at++
    return isThere
  }

  /** What the pattern finds right here, which is passed over. It is short. */
  #skipped(pattern: RegExp): string | undefined {
    const rest = this.#characters.slice(this.#at, this.#at + SKIPPED_CHARS).join('')
    const found = pattern.exec(rest)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #fault(problem: string): FilterError {
    return fault(this.#pattern, `error parsing regexp: ${problem}`)
  }
}

const NEWLINE = 10
const ASCII_MAX = 0x7f
const CODE_POINT_MAX = 0x10_ff_ff
const SKIPPED_CHARS = 64
/** `\a` is 7, and the others follow it. */
const CONTROLS = ['a', '', 't', 'n', 'v', 'f', 'r']
const FIRST_CONTROL = 7

const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  A: 'begin',
  z: 'end',
  b: 'word edge',
  B: 'no word edge',
}

const ascii =
  (pattern: RegExp): CharSet =>
  code =>
    code <= ASCII_MAX && pattern.test(String.fromCharCode(code))

/** Whether a character belongs to a word: in ASCII alone, as Go has it. */
export const isWord: CharSet = ascii(/\w/)

const PERL: Readonly<Record<string, CharSet>> = {
  d: ascii(/\d/),
  s: ascii(/[\t\n\f\r ]/),
  w: isWord,
}

const POSIX: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it says
  ascii: /[\x00-\x7f]/,
  blank: /[\t ]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it says
  cntrl: /[\x00-\x1f\x7f]/,
  digit: /\d/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  upper: /[A-Z]/,
  word: /\w/,
  xdigit: /[0-9A-Fa-f]/,
}

/** A general category or a script, by the engine's own tables; undefined where there is none. */
function unicodeClass(name: string): CharSet | undefined {
  for (const property of [`gc=${name}`, `sc=${name}`]) {
    try {
      const pattern = new RegExp(`\\p{${property}}`, 'u')
      return code => pattern.test(String.fromCodePoint(code))
    } catch {}
  }
  return undefined
}

const setOf = (set: CharSet): Tree => ({ kind: 'set', set })
const not =
  (set: CharSet): CharSet =>
  code =>
    !set(code)
const codeOf = (character: string): number => character.codePointAt(0)!
const literal = (code: number, flags: Flags): CharSet => folded(given => given === code, flags)

/** The same without regard to case, where the flags say so. */
function folded(set: CharSet, { fold }: Flags): CharSet {
  if (!fold) return set
  return code => {
    if (set(code)) return true
    const character = String.fromCodePoint(code)
    const others = [character.toLowerCase(), character.toUpperCase()]
    return others.some(
      other => other !== character && [...other].length === 1 && set(codeOf(other)),
    )
  }
}
