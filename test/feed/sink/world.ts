/** Sinks with the real world's ports, and states as they are wanted, for tests. */
import type { Test } from 'tap'
import { sinkWorld } from '../../../src/agent/sink-ports.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import {
  type Applied,
  type Plan,
  type SinkKind,
  type SinkPorts,
  type SinkTarget,
  TargetRefusal,
  type Wanted,
} from '../../../src/feed/sink/declare.ts'
import { readSettings, type SettingValues } from '../../../src/feed/sink/schema.ts'
import type { SinkState } from '../../../src/feed/sink/state.ts'

/** Settings as the local configuration gives them; throws where they are wrong. */
export function settingsOf(kind: SinkKind, given: Record<string, unknown>): SettingValues {
  const read = readSettings(kind.fields, given, 'local')
  if ('problems' in read) throw new Error(JSON.stringify(read.problems))
  const problem = kind.problemOf(read.values)
  if (problem !== undefined) throw new Error(problem)
  return read.values
}

/** What is wanted; throws where it is refused. */
export function wantedOf(
  kind: SinkKind,
  values: SettingValues,
  state: SinkState,
  last?: SinkState,
): Wanted {
  const wanted = kind.want(values, state, last)
  if (wanted instanceof Refusal) throw new Error(wanted.text)
  return wanted
}

/** The real ports; what they started is ended with the test. */
export function realPorts(t: Test, given: Partial<SinkPorts> = {}): SinkPorts {
  const world = sinkWorld({
    clock: systemClock,
    random: systemRandom,
    allow: [],
    environment: process.env,
  })
  t.teardown(() => world.close())
  return { ...world.portsOf('test'), ...given }
}

/** A sink as its task runs it: the last good state is handed to the next. */
export class Driver {
  readonly #kind: SinkKind
  readonly #values: SettingValues
  readonly target: SinkTarget
  #last: SinkState | undefined

  constructor(kind: SinkKind, given: Record<string, unknown>, ports: SinkPorts) {
    this.#kind = kind
    this.#values = settingsOf(kind, given)
    this.target = kind.open(this.#values, ports)
  }

  wanted(state: SinkState): Wanted {
    return wantedOf(this.#kind, this.#values, state, this.#last)
  }

  async plan(state: SinkState): Promise<Plan> {
    return must(await this.target.plan(this.wanted(state), new AbortController().signal))
  }

  async try(
    state: SinkState,
    signal = new AbortController().signal,
  ): Promise<Applied | TargetRefusal> {
    const wanted = this.wanted(state)
    const applied = await this.target.apply(wanted, signal)
    if (!(applied instanceof TargetRefusal)) this.#last = wanted.state
    return applied
  }

  /** Applies; throws where it is refused. */
  async apply(state: SinkState): Promise<Applied> {
    return must(await this.try(state))
  }
}

/** What was not refused. */
export function must<T>(result: T | TargetRefusal): T {
  if (result instanceof TargetRefusal) throw new Error(`refused: ${result.text}`)
  return result
}
