/**
 * The sinks of an agent's configuration at work, and the world that sinks reach.
 *
 * Owns their start, their end, and what a changed configuration does to them. Who follows for them
 * is handed in. Decides nothing.
 */
import type { Clock, Random } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'
import type { FollowPort } from '../feed/follow.ts'
import type { SinkTask } from '../feed/sink/task.run.ts'
import type { TaskDefinition } from '../feed/sink/task-definition.ts'
import { isWellIn } from '../feed/sink/task-status.ts'
import { SinkTasks } from '../feed/sink/tasks.run.ts'
import type { Reloadable } from './reload.ts'
import { type SinkWorld, sinkWorld } from './sink-ports.ts'

export interface AgentSinksPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Ranges of addresses that sinks may connect to; empty for all but guarded ones. */
  readonly allow: readonly string[]
  /** Follows with a token: a secret, '' for the agent's default one. */
  readonly followAs: (token: string) => FollowPort
}

export class AgentSinks {
  /** Those of the configuration. */
  readonly tasks: SinkTasks
  readonly #world: SinkWorld
  #others: () => readonly SinkTask[] = () => []

  constructor(ports: AgentSinksPorts) {
    const { clock, random, log, metrics, environment, allow, followAs } = ports
    this.#world = sinkWorld({ clock, random, allow, environment })
    this.tasks = new SinkTasks({ clock, random, log, followAs, portsOf: this.#world.portsOf })
    const help = 'Sinks that this agent runs and whose target is not what it should be.'
    metrics.gauge('sinks.wrong', help, () => {
      const all = [...this.tasks.all(), ...this.#others()]
      return all.filter(task => !isWellIn(task.status().phase)).length
    })
  }

  /** Counts other tasks with its own. */
  count(others: () => readonly SinkTask[]): void {
    this.#others = others
  }

  /** What the target of a task works with. */
  get portsOf(): SinkWorld['portsOf'] {
    return this.#world.portsOf
  }

  /** Runs these instead of those that run. */
  configure(sinks: readonly TaskDefinition[]): Promise<void> {
    return this.tasks.configure(sinks)
  }

  /** Stops those of the configuration and the programs of all; targets stay as they are. */
  async stop(): Promise<void> {
    await this.tasks.stop()
    await this.#world.close()
  }
}

/** What takes over the sinks of a changed configuration. */
export const sinksReloadable = (sinks: AgentSinks): Reloadable => ({
  takes: ['sinks'],
  apply: next => sinks.configure(next.sinks),
})
