/**
 * Texts of policies, in HCL 1 or JSON, to data.
 *
 * Owns which keys mean what, and the words in which Vault refuses bad ones. Every block is kept,
 * so that a later one can never hide a `deny`; a key that is written twice within one block is
 * refused, as newer Vaults do. Must never throw, whatever the text.
 */
import { DAY_MS, parseDurationMs } from '../../base/duration.ts'
import { severalErrors } from '../../base/errors.ts'
import { goQuote } from '../../base/go-quote.ts'
import { limits } from '../../base/limits.ts'
import {
  type HclEntry,
  HclError,
  type HclObject,
  type HclValue,
  isObject,
  parseWithEntries,
} from '../../hcl/hcl.ts'
import {
  type Block,
  bits,
  type Capability,
  capabilities,
  type Parameters,
  type PolicyDocument,
  PolicyProblem,
} from './document.ts'
import { type KeyFilter, parseKeyFilter } from './key-filter.ts'
import { FORBIDDEN } from './pattern.ts'
import { isTemplate, TEMPLATE_PROBLEM } from './template.ts'

/** The text itself of what may be its base64 form, as clients send policies. */
export function plainText(sent: string): string {
  if (sent.length > limits.policyTextChars * 4) return sent
  const bare = sent.replace(/[\r\n]/g, '')
  if (bare.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(bare)) return sent
  return Buffer.from(bare, 'base64').toString()
}

/** The policy of a text, or what is wrong with it first. An empty text has no blocks. */
export function parsePolicy(text: string): PolicyDocument | PolicyProblem {
  if (text.length > limits.policyTextChars) {
    return failed(`text is longer than ${limits.policyTextChars} characters`, 1)
  }
  try {
    const { value, entriesOf } = parseWithEntries(text, { format: 'auto' })
    const blocks = new Reader(entriesOf).read(value)
    return { blocks, isTemplated: blocks.some(block => block.isTemplated) }
  } catch (error) {
    if (error instanceof HclError) return failed(error.message, error.line)
    if (error instanceof Stopped) return error.problem
    throw error
  }
}

function failed(text: string, line: number): PolicyProblem {
  return new PolicyProblem(400, `failed to parse policy: ${text}`, line)
}

/** Carries a problem out of the walk; never leaves this file. */
class Stopped extends Error {
  readonly problem: PolicyProblem

  constructor(problem: PolicyProblem) {
    super(problem.text)
    this.problem = problem
  }
}

function stop(text: string, line: number): never {
  throw new Stopped(failed(text, line))
}

type Entries = (object: HclObject) => readonly HclEntry[]

const topKeys = ['name', 'path']
const blockKeys = [
  'allowed_parameters',
  'capabilities',
  'comment',
  'control_group',
  'denied_parameters',
  'expiration',
  'list_scan_response_keys_filter_path',
  'max_wrapping_ttl',
  'mfa_methods',
  'min_wrapping_ttl',
  'pagination_limit',
  'policy',
  'required_parameters',
] as const
type BlockKey = (typeof blockKeys)[number]

class Reader {
  readonly #entriesOf: Entries
  readonly #blocks: Block[] = []

  constructor(entriesOf: Entries) {
    this.#entriesOf = entriesOf
  }

  read(root: HclObject): readonly Block[] {
    const entries = this.#entriesOf(root)
    holdKeys(entries, topKeys, '')
    for (const entry of entries) {
      if (entry.key === 'path') this.#readPaths(entry)
      else textOf(entry, '')
    }
    return this.#blocks
  }

  /** `path "a" { … }`, `path = { a = { … } }`, and lists of either. */
  #readPaths(entry: HclEntry): void {
    for (const labels of objectsOf(entry)) {
      for (const labelled of this.#entriesOf(labels)) {
        for (const body of objectsOf(labelled)) {
          if (this.#blocks.length === limits.policyBlocks) {
            stop(`more than ${limits.policyBlocks} paths`, labelled.position.line)
          }
          this.#blocks.push(this.#readBlock(labelled, this.#entriesOf(body)))
        }
      }
    }
  }

  #readBlock(label: HclEntry, entries: readonly HclEntry[]): Block {
    const { line } = label.position
    const shown = `path ${goQuote(label.key)}: `
    const isTemplated = isTemplate(label.key)
    if (isTemplated === undefined) stop(TEMPLATE_PROBLEM, line)
    holdKeys(entries, blockKeys, shown)
    const fields = new Fields(entries, shown, this.#entriesOf)
    const path = label.key.startsWith('/') ? label.key.slice(1) : label.key
    if (path.length > limits.policyPathChars) {
      stop(`${shown}longer than ${limits.policyPathChars} characters`, line)
    }
    if (path.includes(FORBIDDEN)) {
      stop(`${shown}invalid use of wildcards ('${FORBIDDEN}' is forbidden)`, line)
    }
    const set = fields.set()
    const minWrapTtlMs = fields.durationMs('min_wrapping_ttl')
    const maxWrapTtlMs = fields.durationMs('max_wrapping_ttl')
    if (maxWrapTtlMs > 0 && maxWrapTtlMs < minWrapTtlMs) {
      stop('max_wrapping_ttl cannot be less than min_wrapping_ttl', line)
    }
    return {
      ...{ path, isTemplated, line, set, minWrapTtlMs, maxWrapTtlMs },
      required: fields.texts('required_parameters').map(one => one.toLowerCase()),
      allowed: fields.parameters('allowed_parameters'),
      denied: fields.parameters('denied_parameters'),
      mfaMethods: fields.texts('mfa_methods'),
      expiresAtMs: fields.time('expiration'),
      pageLimit: fields.whole('pagination_limit'),
      keyFilter: fields.keyFilter('list_scan_response_keys_filter_path', set),
      comment: fields.text('comment'),
    }
  }
}

const none: Parameters = new Map()

/** What each legacy `policy` stands for. */
const legacy = new Map<string, readonly (Capability | 'deny')[]>([
  ['deny', ['deny']],
  ['read', ['read', 'list']],
  ['write', ['create', 'read', 'update', 'delete', 'list']],
  ['sudo', ['create', 'read', 'update', 'delete', 'list', 'sudo']],
])

/** What comes only with licences that nobody can have here. */
const NOT_SERVED = 'not served yet: control_group in a policy'

/** The keys of one block. */
class Fields {
  readonly #byKey = new Map<string, HclEntry>()
  readonly #shown: string
  readonly #entriesOf: Entries

  constructor(entries: readonly HclEntry[], shown: string, entriesOf: Entries) {
    this.#shown = shown
    this.#entriesOf = entriesOf
    for (const entry of entries) {
      const { key, position } = entry
      if (key === 'control_group') {
        throw new Stopped(new PolicyProblem(501, NOT_SERVED, position.line))
      }
      if (this.#byKey.has(key)) {
        const place = `${position.line}:${position.column}`
        const rule = 'Each argument can only be defined once'
        stop(`The argument ${goQuote(key)} at ${place} was already set. ${rule}`, position.line)
      }
      this.#byKey.set(key, entry)
    }
  }

  text(key: BlockKey): string {
    const entry = this.#byKey.get(key)
    return entry === undefined ? '' : textOf(entry, this.#shown)
  }

  texts(key: BlockKey): readonly string[] {
    const entry = this.#byKey.get(key)
    if (entry === undefined) return []
    const { value } = entry
    if (!Array.isArray(value) || !value.every(one => typeof one === 'string')) {
      return this.#wrong(entry, 'a list of texts')
    }
    return value
  }

  set(): number {
    const names = [...this.texts('capabilities')]
    const policy = this.text('policy')
    const old = legacy.get(policy)
    if (policy !== '' && old === undefined) {
      this.#stop('policy', `invalid policy ${goQuote(policy)}`)
    }
    const all = [...(old ?? []), ...names]
    const unknown = all.find(one => one !== 'deny' && !isCapability(one))
    // What stands behind a `deny` is never looked at by Vault; a mistake is told all the same.
    if (unknown !== undefined) {
      this.#stop('capabilities', `invalid capability ${goQuote(unknown)}`)
    }
    if (all.includes('deny')) return bits.deny
    return all.filter(isCapability).reduce((set, one) => set | bits[one], 0)
  }

  parameters(key: BlockKey): Parameters {
    const entry = this.#byKey.get(key)
    if (entry === undefined) return none
    if (!isObject(entry.value)) return this.#wrong(entry, 'names with lists of values')
    const parameters = new Map<string, readonly HclValue[]>()
    let count = 0
    for (const { key: name, value, position } of this.#entriesOf(entry.value)) {
      if (!Array.isArray(value)) return this.#wrong({ key, position }, 'lists of values')
      const before = parameters.get(name.toLowerCase())
      // An empty list is for any value, whatever else is listed.
      const isAny = value.length === 0 || before?.length === 0
      parameters.set(name.toLowerCase(), isAny ? [] : [...(before ?? []), ...value])
      count += value.length
      if (parameters.size > limits.policyParameters || count > limits.policyParameterValues) {
        this.#stop(key, `${key} has too many names or values`)
      }
    }
    return parameters
  }

  /** Whole seconds, as a number or its digits, or a duration in Go's notation or days. */
  durationMs(key: BlockKey): number {
    const entry = this.#byKey.get(key)
    if (entry === undefined) return 0
    const durationMs = durationMsOf(entry.value)
    if (durationMs === undefined || durationMs < 0) {
      stop(`error parsing ${key}: not a duration`, entry.position.line)
    }
    return durationMs
  }

  whole(key: BlockKey): number {
    const entry = this.#byKey.get(key)
    if (entry === undefined) return 0
    const { value } = entry
    const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) {
      return this.#wrong(entry, 'a whole number')
    }
    return number
  }

  time(key: BlockKey): number | undefined {
    const text = this.text(key)
    if (text === '') return undefined
    const atMs = TIME.test(text) ? Date.parse(text) : Number.NaN
    if (Number.isNaN(atMs)) this.#stop(key, `invalid expiration time: ${goQuote(text)}`)
    return atMs
  }

  keyFilter(key: BlockKey, set: number): KeyFilter | undefined {
    const text = this.text(key)
    if (text === '') return undefined
    const { line } = this.#byKey.get(key)!.position
    if ((set & bits.list) === 0) {
      stop(`${key} needs to be used on a path with the list capability`, line)
    }
    const filter = parseKeyFilter(text)
    return typeof filter === 'string' ? stop(`${key}: ${filter}`, line) : filter
  }

  #wrong({ key, position }: Pick<HclEntry, 'key' | 'position'>, expected: string): never {
    return stop(`${this.#shown}${key}: expected ${expected}`, position.line)
  }

  #stop(key: BlockKey, text: string): never {
    const line = this.#byKey.get(key)?.position.line ?? 1
    return stop(`${this.#shown}${text}`, line)
  }
}

/** RFC 3339, with seconds and their fractions. */
const TIME = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[-+]\d{2}:\d{2})$/

const isCapability = (name: string): name is Capability =>
  capabilities.some(capability => capability === name)

function durationMsOf(value: HclValue): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value * 1000 : undefined
  if (typeof value !== 'string') return undefined
  if (value === '') return 0
  if (/^\d{1,12}$/.test(value)) return Number(value) * 1000
  const days = /^(\d{1,9})d(.*)$/.exec(value)
  const rest = days === null ? value : days[2]!
  const restMs = days !== null && rest === '' ? 0 : parseDurationMs(rest)
  return restMs === undefined ? undefined : Number(days?.[1] ?? 0) * DAY_MS + restMs
}

/** Tells of all keys that have no meaning, in the form of Go's multierror. */
function holdKeys(entries: readonly HclEntry[], known: readonly string[], shown: string): void {
  const wrong = entries.filter(({ key }) => !known.includes(key))
  if (wrong.length === 0) return
  const problems = wrong.slice(0, limits.aclFindings).map(({ key, position }) => {
    return `${shown}invalid key ${goQuote(key)} on line ${position.line}`
  })
  stop(severalErrors(problems), wrong[0]!.position.line)
}

function textOf({ key, value, position }: HclEntry, shown: string): string {
  if (typeof value === 'string') return value
  return stop(`${shown}${key}: expected a text`, position.line)
}

function objectsOf({ key, value, position }: HclEntry): readonly HclObject[] {
  const list: readonly HclValue[] = Array.isArray(value) ? value : [value]
  return list.map(one =>
    isObject(one) ? one : stop(`${goQuote(key)}: expected a block`, position.line),
  )
}
