/**
 * All that a task follows, gathered from as many followings: whole or not.
 *
 * Owns that a state counts only once each part of it came and none is lost. Decides nothing.
 */
import type { FollowPort } from '../follow.ts'
import { instancesOf, kvItemsOf, type SinkState } from './state.ts'
import type { TaskDefinition } from './task-definition.ts'

export type GatheredTopic = 'health' | 'kv'

/** What is told of the parts. */
export interface GatherListener {
  /** A part came or changed, and all of them are there. */
  whole(topic: GatheredTopic): void
  /** A part cannot be read for now, and why. */
  lost(problem: string): void
}

interface Part {
  readonly topic: GatheredTopic
  readonly subject: string
  /** Undefined until it came. */
  items: ReadonlyMap<string, unknown> | undefined
  revision: number
  isLost: boolean
}

export class Gathered {
  readonly #parts: readonly Part[]
  #follows: readonly { stop(): void }[] = []

  constructor({ services, kv }: Pick<TaskDefinition, 'services' | 'kv'>) {
    const part = (topic: GatheredTopic, subject: string): Part => {
      return { topic, subject, items: undefined, revision: 0, isLost: false }
    }
    this.#parts = [
      ...services.map(each => part('health', each)),
      ...kv.map(each => part('kv', each)),
    ]
  }

  /** Begins to follow; `filter` says which instances. */
  follow(port: FollowPort, filter: string, listener: GatherListener): void {
    this.#follows = this.#parts.map(part => {
      const { topic, subject } = part
      const what = { topic, subject, filter: topic === 'health' ? filter : '' }
      return port.follow(what, {
        state: (items, revision) => {
          Object.assign(part, { items, revision, isLost: false })
          if (this.#parts.every(each => each.items !== undefined && !each.isLost)) {
            listener.whole(topic)
          }
        },
        lost: problem => {
          part.isLost = true
          listener.lost(`${topic} ${JSON.stringify(subject)}: ${problem}`)
        },
      })
    })
  }

  stop(): void {
    for (const follow of this.#follows) follow.stop()
    this.#follows = []
  }

  /** The newest of all parts. */
  get revision(): number {
    return Math.max(0, ...this.#parts.map(({ revision }) => revision))
  }

  /** The subjects that have not come yet. */
  get missing(): readonly string[] {
    return this.#parts.filter(({ items }) => items === undefined).map(({ subject }) => subject)
  }

  /** As it is now; undefined while a part has not come. */
  state(): SinkState | undefined {
    const services = new Map<string, ReturnType<typeof instancesOf>>()
    const kv = new Map<string, ReturnType<typeof kvItemsOf>>()
    for (const { topic, subject, items } of this.#parts) {
      if (items === undefined) return undefined
      if (topic === 'health') services.set(subject, instancesOf(items))
      else kv.set(subject, kvItemsOf(items))
    }
    return { revision: this.revision, services, kv }
  }
}
