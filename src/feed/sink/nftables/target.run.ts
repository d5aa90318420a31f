/**
 * The target of the sink `nftables`: nft(8), which reads one transaction from its standard input.
 *
 * Owns the script and the reading of `nft -j list set`. Each set that differs is emptied and filled
 * in one transaction, so that no packet ever meets half of it; nft checks the whole script first.
 */
import { messageOf } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import {
  type Applied,
  type Plan,
  type SinkPorts,
  type SinkTarget,
  TargetRefusal,
  type Wanted,
} from '../declare.ts'
import { bounded } from '../lines.ts'
import { faultOf, faultOfEnd } from '../program.ts'
import type { NftWanted, WantedSet } from './nftables.ts'

/** A set that is not as it should be. */
interface Difference {
  readonly set: WantedSet
  readonly lines: readonly string[]
}

export class NftTarget implements SinkTarget<NftWanted> {
  readonly #command: readonly string[]
  readonly #timeoutMs: number
  readonly #ports: SinkPorts

  constructor(
    settings: { readonly command: readonly string[]; readonly timeout: number },
    ports: SinkPorts,
  ) {
    this.#command = settings.command
    this.#timeoutMs = settings.timeout
    this.#ports = ports
  }

  async plan({ what }: Wanted<NftWanted>, signal: AbortSignal): Promise<Plan | TargetRefusal> {
    const problem = heldText(what)
    if (problem !== undefined) return { changes: [], problems: [problem] }
    const found = await this.#differences(what, signal)
    return found instanceof TargetRefusal ? found : { changes: linesOf(found), problems: [] }
  }

  async apply({ what }: Wanted<NftWanted>, signal: AbortSignal): Promise<Applied | TargetRefusal> {
    const problem = heldText(what)
    const problems = problem === undefined ? [] : [problem]
    const found = problem === undefined ? await this.#differences(what, signal) : []
    if (found instanceof TargetRefusal) return found
    const changes = linesOf(found)
    if (changes.length === 0) return { changes, problems, againMs: undefined }
    const script = scriptOf(found.map(({ set }) => set))
    const refused = await this.#read(['-c'], script, signal)
    if (refused !== undefined) return new TargetRefusal(refused, true)
    const fault = await this.#read([], script, signal)
    // A transaction is one: where nft was ended in between, only a look tells.
    if (fault !== undefined) return new TargetRefusal(fault, true, 'unknown')
    return { changes, problems, againMs: undefined }
  }

  async close(): Promise<void> {}

  #read(words: readonly string[], input: string, signal: AbortSignal): Promise<string | undefined> {
    const all = [...this.#command, ...words, '-f', '-']
    return faultOf(this.#ports, { words: all, input, timeoutMs: this.#timeoutMs }, signal)
  }

  async #differences(
    { sets }: NftWanted,
    signal: AbortSignal,
  ): Promise<readonly Difference[] | TargetRefusal> {
    const found: Difference[] = []
    for (const set of sets) {
      const words = [...this.#command, '-j', '-n', 'list', 'set', ...set.name.split(' ')]
      const program = { words, input: '', timeoutMs: this.#timeoutMs }
      const outputMaxSizeBytes = limits.sinkListingSizeBytes
      const end = await this.#ports.run({ ...program, outputMaxSizeBytes }, signal)
      const fault = faultOfEnd(program, end)
      if (fault !== undefined) return new TargetRefusal(fault, true)
      const current = end.what === 'exit' ? elementsIn(end.output) : new Error('no end')
      if (current instanceof Error) {
        return new TargetRefusal(`set ${set.name}: ${messageOf(current)}`, true)
      }
      const wanted = new Set(set.elements)
      const lines = [
        ...set.elements.filter(one => !current.has(one)).map(one => `+ ${set.name} ${one}`),
        ...[...current].filter(one => !wanted.has(one)).map(one => `- ${set.name} ${one}`),
      ]
      if (lines.length > 0) found.push({ set, lines })
    }
    return found
  }
}

const linesOf = (found: readonly Difference[]): string[] => bounded(found.flatMap(one => one.lines))

function heldText({ held }: NftWanted): string | undefined {
  if (held.length === 0) return undefined
  const names = held.map(name => JSON.stringify(name)).join(', ')
  return `the sets are kept as they are until there are usable instances of ${names}`
}

/** One transaction that empties sets and fills them. */
export function scriptOf(sets: readonly WantedSet[]): string {
  const lines = sets.flatMap(({ name, elements }) => [
    `flush set ${name}`,
    ...chunked(elements).map(some => `add element ${name} { ${some.join(', ')} }`),
  ])
  return `${lines.join('\n')}\n`
}

const ELEMENTS_PER_LINE = 500

function chunked(elements: readonly string[]): string[][] {
  const count = Math.ceil(elements.length / ELEMENTS_PER_LINE)
  return Array.from({ length: count }, (_, at) =>
    elements.slice(at * ELEMENTS_PER_LINE, (at + 1) * ELEMENTS_PER_LINE),
  )
}

/** What a set holds, as `nft -j list set` prints it (libnftables-json(5)). */
export function elementsIn(output: string): ReadonlySet<string> | Error {
  let read: unknown
  try {
    read = JSON.parse(output)
  } catch {
    return new Error('nft does not print it as JSON')
  }
  const { nftables } = record(read)
  const set = (Array.isArray(nftables) ? nftables : []).map(one => record(one).set).find(Boolean)
  if (set === undefined) return new Error('nft does not show it')
  const { elem } = record(set)
  return new Set((Array.isArray(elem) ? elem : []).map(textOf))
}

function textOf(element: unknown): string {
  if (typeof element === 'string' || typeof element === 'number') return String(element)
  const { concat, elem, prefix, range } = record(element)
  if (Array.isArray(concat)) return concat.map(textOf).join(' . ')
  // With a time-out or a comment of its own.
  if (elem !== undefined) return textOf(record(elem).val)
  if (prefix !== undefined) return `${textOf(record(prefix).addr)}/${textOf(record(prefix).len)}`
  return Array.isArray(range) ? range.map(textOf).join('-') : JSON.stringify(element)
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : {}
}
