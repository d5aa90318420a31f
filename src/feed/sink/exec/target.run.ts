/**
 * The target of the sink `exec`: a program whose exit code says whether it took the state.
 *
 * Owns the run. 0 is yes; any other end is a refusal that quotes the end of what it printed. The
 * same state is not told twice, unless it was refused.
 */
import {
  type Applied,
  type Plan,
  type SinkPorts,
  type SinkTarget,
  TargetRefusal,
  type Wanted,
} from '../declare.ts'
import { changeLines } from '../document.ts'
import { bounded } from '../lines.ts'
import { faultOf } from '../program.ts'
import type { ExecWanted } from './exec.ts'

export class ExecTarget implements SinkTarget<ExecWanted> {
  readonly #words: readonly string[]
  readonly #timeoutMs: number
  readonly #ports: SinkPorts
  /** The digest of what it took last. */
  #taken: string | undefined

  constructor(
    settings: { readonly command: readonly string[]; readonly timeout: number },
    ports: SinkPorts,
  ) {
    this.#words = settings.command
    this.#timeoutMs = settings.timeout
    this.#ports = ports
  }

  async plan({ what, digest }: Wanted<ExecWanted>): Promise<Plan> {
    if (digest === this.#taken) return { changes: [], problems: [] }
    const run = `run ${this.#words.map(word => JSON.stringify(word)).join(' ')}`
    return { changes: [run, ...bounded(changeLines(what.changes))], problems: [] }
  }

  async apply(wanted: Wanted<ExecWanted>, signal: AbortSignal): Promise<Applied | TargetRefusal> {
    const plan = await this.plan(wanted)
    if (plan.changes.length === 0) return { ...plan, againMs: undefined }
    const task = JSON.stringify(this.#ports.task)
    const program = {
      words: this.#words,
      input: `{"Task":${task},${wanted.what.json.slice(1)}\n`,
      timeoutMs: this.#timeoutMs,
    }
    const fault = await faultOf(this.#ports, program, signal)
    // What the program did before it failed, nobody knows but itself.
    if (fault !== undefined) return new TargetRefusal(fault, true, 'unknown')
    this.#taken = wanted.digest
    return { ...plan, againMs: undefined }
  }

  async close(): Promise<void> {}
}
