/**
 * All tasks that one agent, one server's role or one `gatehouse sync` runs.
 *
 * Owns which of them run: those of the newest configuration. One whose words did not change goes on
 * as it was; one that changed is stopped, and then begins by comparing its target.
 */
import type { FollowPort } from '../follow.ts'
import { SinkTask, type TaskPorts } from './task.run.ts'
import type { TaskDefinition } from './task-definition.ts'

/** What tasks are given; each follows with the rights of its own token. */
export type TasksPorts = Omit<TaskPorts, 'follow'> & {
  /** `token` is a secret, '' for none. */
  readonly followAs: (token: string) => FollowPort
}

export class SinkTasks {
  readonly #ports: TasksPorts
  readonly #tasks = new Map<string, SinkTask>()
  /** What is being taken over; the next one waits for it. */
  #turn: Promise<void> = Promise.resolve()

  constructor(ports: TasksPorts) {
    this.#ports = ports
  }

  /** Runs these instead of those that run; resolves once all of them were begun. */
  configure(definitions: readonly TaskDefinition[]): Promise<void> {
    const done = this.#turn.then(() => this.#configure(definitions))
    this.#turn = done
    return done
  }

  /** Stops all; their targets stay as they are. */
  stop(): Promise<void> {
    return this.configure([])
  }

  /** All of them, by name. */
  all(): readonly SinkTask[] {
    return [...this.#tasks.values()].sort((a, b) => {
      return a.definition.name < b.definition.name ? -1 : 1
    })
  }

  /** One of them; undefined where none has this name. */
  get(name: string): SinkTask | undefined {
    return this.#tasks.get(name)
  }

  async #configure(definitions: readonly TaskDefinition[]): Promise<void> {
    const wanted = new Map(definitions.map(each => [each.name, each]))
    const over = [...this.#tasks].filter(([name, task]) => {
      return wanted.get(name)?.words !== task.definition.words
    })
    await Promise.all(
      over.map(([name, task]) => {
        this.#tasks.delete(name)
        return task.stop()
      }),
    )
    const { followAs, ...ports } = this.#ports
    for (const definition of definitions) {
      if (this.#tasks.has(definition.name)) continue
      const task = new SinkTask(definition, { ...ports, follow: followAs(definition.token) })
      this.#tasks.set(definition.name, task)
      task.start()
    }
  }
}
