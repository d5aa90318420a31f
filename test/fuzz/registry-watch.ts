/**
 * Questions that are asked again and again, as blocking queries do, and what must hold of each:
 * an answer that changed has a greater index, whoever waited for it was woken, and no index goes
 * back.
 */
import { everybody } from '../../src/base/who.ts'
import {
  allNodes,
  nodeServices,
  serviceInstances,
  serviceNames,
} from '../../src/registry/catalog.ts'
import {
  checksInState,
  nodeChecks,
  serviceChecks,
  serviceHealth,
} from '../../src/registry/health.ts'
import { kvEntry, kvKeys, kvTree } from '../../src/registry/kv.ts'
import { allSessions, sessionById, sessionsOnNode } from '../../src/registry/session.ts'
import type { Question, View } from '../../src/store/ask.ts'
import type { Store } from '../../src/store/store.ts'
import { SERVICE } from './registry-model.ts'
import { KEYS, NODES } from './registry-steps.ts'

const any = { tags: [], meta: [] }
export const questions = [
  ...KEYS.map(key => kvEntry(everybody, key)),
  ...['', 'k', 'k/', 'm'].flatMap(prefix => [
    kvTree(everybody, prefix),
    kvKeys(everybody, prefix, '/'),
  ]),
  allNodes(everybody, []),
  serviceNames(everybody, []),
  serviceInstances(everybody, SERVICE, any),
  serviceInstances(everybody, SERVICE, { ...any, tags: ['v1'] }),
  serviceInstances(everybody, 'unknown', any),
  serviceHealth(everybody, SERVICE, { ...any, passing: false }),
  serviceHealth(everybody, SERVICE, { ...any, passing: true }),
  serviceChecks(everybody, SERVICE, []),
  ...['any', 'passing', 'critical'].map(state => checksInState(everybody, state, [])),
  ...NODES.flatMap((node): Question<unknown>[] => [
    nodeServices(everybody, node),
    nodeChecks(everybody, node),
    sessionsOnNode(everybody, node),
  ]),
  allSessions(everybody),
  sessionById(everybody, 's0'),
] as readonly Question<unknown>[]

/** Somebody who asks a question again and again. */
export class Watch {
  readonly #store: Store
  readonly #question: Question<unknown>
  #answer: string
  #index: number
  #isWoken = false
  #waiter: { cancel(): void }

  constructor(store: Store, question: Question<unknown>) {
    this.#store = store
    this.#question = question
    this.#answer = textOf(question.read(store.view() as View))
    this.#index = this.#newest()
    this.#waiter = this.#wait()
  }

  #newest(): number {
    return this.#question.newest(this.#store.view() as View, this.#store.scopes)
  }

  #wait(): { cancel(): void } {
    return this.#store.scopes.wait(this.#question.target, () => {
      this.#isWoken = true
    })
  }

  look(): void {
    const { key } = this.#question
    const answer = textOf(this.#question.read(this.#store.view() as View))
    const index = this.#newest()
    const hasChanged = answer !== this.#answer
    const isSure = index >= this.#index && (!hasChanged || index > this.#index)
    if (!isSure)
      throw new Error(`${key}: index ${index} after ${this.#index}, ${this.#answer} -> ${answer}`)
    if (index > this.#store.view().revision) throw new Error(`${key}: index ${index} of the future`)
    if (hasChanged && !this.#isWoken) throw new Error(`${key}: nobody was woken for ${answer}`)
    if (this.#isWoken) this.#waiter = this.#wait()
    this.#answer = answer
    this.#index = index
    this.#isWoken = false
  }

  end(): void {
    this.#waiter.cancel()
  }
}

/** An answer, all of it, whatever it consists of. */
function textOf(answer: unknown): string {
  const isList = typeof answer === 'object' && answer !== null && Symbol.iterator in answer
  return JSON.stringify(
    isList ? [...(answer as Iterable<unknown>)] : (answer ?? null),
    (_, value) => (typeof value === 'bigint' ? String(value) : value),
  )
}
