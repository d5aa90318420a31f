/**
 * Password policies: how long a password is, and which characters it must have how often.
 *
 * Owns their language (HCL 1 or JSON), what makes a policy impossible, and the drawing. Each
 * character is drawn without bias, by bytes that fall into equal shares; a password that breaks a
 * rule is thrown away whole, so that of all that keep the rules each is as likely. Follows
 * concepts/password-policies of Vault's docs. Pure: randomness is passed in.
 */
import type { Random } from '../../base/clock.ts'
import { Refusal, severalErrors } from '../../base/errors.ts'
import { goQuote } from '../../base/go-quote.ts'
import { limits } from '../../base/limits.ts'
import { blocksOf, HclError, type HclObject, type HclValue, parse } from '../../hcl/hcl.ts'

export interface PasswordPolicy {
  /** Characters. */
  readonly length: number
  readonly rules: readonly CharsetRule[]
  /** Those of all rules, each once. */
  readonly characters: readonly string[]
}

interface CharsetRule {
  readonly characters: ReadonlySet<string>
  readonly minChars: number
}

/** The policy of a text, or why there can be none; a policy always has passwords. */
export function parsePasswordPolicy(text: string): PasswordPolicy | Refusal {
  if (text.length > limits.policyTextChars) {
    return invalid(`text is longer than ${limits.policyTextChars} characters`)
  }
  try {
    const policy = read(parse(text, { format: 'auto' }))
    return typeof policy === 'string' ? invalid(policy) : (problemOf(policy) ?? policy)
  } catch (error) {
    if (error instanceof HclError) return invalid(`unable to decode: ${error.message}`)
    throw error
  }
}

/** A new password. */
export function drawPassword(
  { length, rules, characters }: PasswordPolicy,
  random: Random,
): string {
  const draw = new Draw(random)
  for (let tried = 0; tried < limits.passwordTries; tried++) {
    const drawn = Array.from({ length }, () => draw.pick(characters))
    if (rules.every(rule => keeps(rule, drawn))) return drawn.join('')
  }
  return composed({ length, rules, characters }, draw)
}

const invalid = (text: string): Refusal => new Refusal(400, `invalid password policy: ${text}`)

function read(value: HclObject): PasswordPolicy | string {
  const { length = 0, rule = [], ...others } = value
  const [unknown] = Object.keys(others)
  if (unknown === 'entropy_source') {
    if (others[unknown] !== '' && others[unknown] !== 'platform') {
      return 'not served yet: entropy_source other than platform'
    }
  } else if (unknown !== undefined) return `unknown key ${goQuote(unknown)}`
  const size = wholeOf(length)
  if (size === undefined) return 'length must be a whole number'
  const labelled = blocksOf(rule)
  if (labelled === undefined) return 'unable to retrieve rules: expected blocks'
  const rules: CharsetRule[] = []
  for (const [type, body] of labelled.flatMap(one => Object.entries(one))) {
    if (type !== 'charset') return `unable to parse rule ${type}: unrecognized rule type ${type}`
    for (const one of blocksOf(body) ?? []) {
      const parsed = readRule(one)
      if (typeof parsed === 'string') return `unable to parse rule charset: ${parsed}`
      rules.push(parsed)
    }
  }
  if (rules.length > limits.passwordRules) return `more than ${limits.passwordRules} rules`
  const characters = [...new Set(rules.flatMap(one => [...one.characters]))].sort()
  return { length: size, rules, characters }
}

function readRule(body: HclObject): CharsetRule | string {
  const { charset = '', 'min-chars': least = 0, ...others } = body
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return `unknown key ${goQuote(unknown)}`
  if (typeof charset !== 'string' || !charset.isWellFormed()) return 'charset must be a text'
  const minChars = wholeOf(least)
  if (minChars === undefined) return 'min-chars must be a whole number'
  return { characters: new Set(charset), minChars: Math.max(0, minChars) }
}

function wholeOf(value: HclValue): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

/** Why there is no password that keeps the rules, in Vault's words. */
function problemOf({ length, rules, characters }: PasswordPolicy): Refusal | undefined {
  const problems: string[] = []
  const least = rules.reduce((sum, rule) => sum + rule.minChars, 0)
  if (length <= 0) problems.push('length must be > 0')
  else if (length < least) {
    problems.push(`specified rules require at least ${least} characters but ${length} is specified`)
  }
  if (characters.length === 0) problems.push('no charset specified')
  if (characters.some(one => !PRINTS.test(one))) {
    problems.push('non-printable character in charset')
  }
  if (characters.length > limits.passwordCharsetChars) {
    problems.push(`charset is too long: limited to ${limits.passwordCharsetChars} characters`)
  }
  if (problems.length > 0) return invalid(severalErrors(problems))
  const [min, max] = [limits.passwordMinChars, limits.passwordMaxChars]
  if (length < min || length > max) {
    return new Refusal(400, `passwords must be between ${min} and ${max} characters`)
  }
  const isImpossible = rules.some(rule => rule.minChars > 0 && rule.characters.size === 0)
  return isImpossible ? new Refusal(400, IMPOSSIBLE) : undefined
}

/** As Go's unicode.IsPrint. */
const PRINTS = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u
const IMPOSSIBLE =
  'unable to construct test password from provided policy: are the rules impossible?'

function keeps({ characters, minChars }: CharsetRule, drawn: readonly string[]): boolean {
  return minChars === 0 || drawn.filter(one => characters.has(one)).length >= minChars
}

/** Of rules so strict that hardly any drawing keeps them: what they ask for, and then shuffled. */
function composed({ length, rules, characters }: PasswordPolicy, draw: Draw): string {
  const drawn = rules.flatMap(rule => {
    return Array.from({ length: rule.minChars }, () => draw.pick([...rule.characters]))
  })
  while (drawn.length < length) drawn.push(draw.pick(characters))
  for (let end = drawn.length - 1; end > 0; end--) {
    const at = draw.below(end + 1)
    const one = drawn[at]!
    drawn[at] = drawn[end]!
    drawn[end] = one
  }
  return drawn.join('')
}

const BYTE_VALUES = 256

/** Choices without bias from bytes, which are asked for many at a time. */
class Draw {
  readonly #random: Random
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(random: Random) {
    this.#random = random
  }

  pick(characters: readonly string[]): string {
    return characters[this.below(characters.length)]!
  }

  /** A whole number below `end`, at most 256. Bytes beyond the last whole share are not used. */
  below(end: number): number {
    const used = BYTE_VALUES - (BYTE_VALUES % end)
    for (;;) {
      const value = this.#next()
      if (value < used) return value % end
    }
  }

  #next(): number {
    if (this.#at === this.#bytes.length) {
      this.#bytes = this.#random.bytes(BYTE_VALUES)
      this.#at = 0
    }
    return this.#bytes[this.#at++]!
  }
}
