/**
 * Clients that read and write on all servers while faults happen, and what they were told.
 *
 * Owns the histories: one event at each start and each end of a request, for the checker of
 * test/linear. An answer that leaves open whether a write was applied counts as unknown, and its
 * client goes on under a new name. Keys are given up after a while, so that each part of a history
 * stays small enough to be checked whole.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '../clients/daemon.ts'
import { type Draw, seeded } from '../fake/random.ts'
import { check, type HistoryEvent, type Model, tell } from '../linear/check.ts'
import {
  type Found,
  type KeyAction,
  type KeyInput,
  type KeyOutput,
  keys,
  type LockInput,
  type LockOutput,
  lock,
} from '../linear/models.ts'
import type { ClusterServer } from './cluster.ts'

const KEY_CLIENTS = 5
const LOCK_CLIENTS = 3
const KEYS = 3
/** Requests after which other keys are taken. */
const KEY_LIFE = 50
const PAUSE_MS = 20
const SESSION_TTL_MS = 10_000
const KEEP_PAUSE_MS = 500

type History<I, O> = HistoryEvent<I, O>[]

/** What an answer says of a request. */
type End<O> = { kind: 'ok'; output: O } | { kind: 'fail' } | { kind: 'unknown' }

export class Workload {
  readonly keys: History<KeyInput, KeyOutput> = []
  readonly locks: History<LockInput, LockOutput> = []
  /** What a client saw that no order explains by itself: an index that went back. */
  readonly oddities: string[] = []
  /** Requests that were answered so that their outcome is known. */
  answered = 0
  readonly #servers: readonly ClusterServer[]
  readonly #seed: number
  #isOver = false
  #requests = 0
  #running: Promise<unknown> = Promise.resolve()

  constructor(servers: readonly ClusterServer[], seed: number) {
    this.#servers = servers
    this.#seed = seed
  }

  start(): void {
    const clients = [
      ...Array.from({ length: KEY_CLIENTS }, (_, at) => this.#keyClient(at)),
      ...Array.from({ length: LOCK_CLIENTS }, (_, at) => this.#lockClient(at)),
      this.#watcher(),
      this.#keeper(),
    ]
    this.#running = Promise.all(clients)
  }

  /** Ends the clients: else they would go on when a test fails, and with them its process. */
  async end(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  /** Ends the clients and says what is wrong with what they were told; nothing, it is hoped. */
  async stop(): Promise<string[]> {
    await this.end()
    return [...this.oddities, ...wrong(keys, this.keys), ...wrong(lock, this.locks)]
  }

  #drawOf(client: string): Draw {
    return seeded(this.#seed * 1_000 + [...client].reduce((sum, one) => sum + one.charCodeAt(0), 0))
  }

  async #keyClient(at: number): Promise<void> {
    const draw = this.#drawOf(`key${at}`)
    const seen = new Map<string, number>()
    let name = `key${at}`
    for (let made = 0; !this.#isOver; made++) {
      const input = this.#keyInput(draw, seen, `${name}.${made}`)
      const end = await this.#request(
        this.keys,
        name,
        input,
        () => this.#doKeys(draw, input),
        input.f === 'get',
      )
      if (end.kind === 'ok') noteIndexes(seen, input, end.output)
      if (end.kind === 'unknown') name = `key${at}.${made}`
      await sleep(PAUSE_MS)
    }
  }

  #keyInput(draw: Draw, seen: ReadonlyMap<string, number>, value: string): KeyInput {
    const age = Math.floor(this.#requests++ / KEY_LIFE)
    const key = `run/${this.#seed}/${age}/${draw.below(KEYS)}`
    const action = draw.pick(['get', 'get', 'put', 'put', 'cas', 'cas', 'delete', 'txn'] as const)
    if (action === 'put') return { f: 'put', key, value }
    if (action === 'get' || action === 'delete') return { f: action, key }
    const cas = (of: string): KeyAction => ({ f: 'cas', key: of, index: seen.get(of) ?? 0, value })
    if (action === 'cas') return cas(key)
    const other = `run/${this.#seed}/${age}/${draw.below(KEYS)}`
    if (other === key) return cas(key)
    return { f: 'txn', actions: [cas(key), { f: 'get', key: other }] }
  }

  async #doKeys(draw: Draw, input: KeyInput): Promise<End<KeyOutput>> {
    const server = draw.pick(this.#servers)
    if (input.f === 'get') {
      const answer = await server.ask('GET', `/v1/kv/${input.key}`)
      if (answer.status === 404) return ok({ done: true, found: [undefined] })
      if (answer.status !== 200) return { kind: 'fail' }
      return ok({ done: true, found: [foundIn(JSON.parse(answer.text)[0])] })
    }
    if (input.f === 'put')
      return written(await server.ask('PUT', `/v1/kv/${input.key}`, input.value))
    if (input.f === 'delete') return written(await server.ask('DELETE', `/v1/kv/${input.key}`))
    if (input.f === 'cas') {
      const url = `/v1/kv/${input.key}?cas=${input.index}`
      return written(await server.ask('PUT', url, input.value ?? ''))
    }
    const body = input.actions.map(action => ({ KV: verbOf(action) }))
    const answer = await server.ask('PUT', '/v1/txn', body)
    if (answer.status === 409) return ok({ done: false, found: [] })
    if (answer.status !== 200) return unclear(answer)
    const results: { KV: Row }[] = JSON.parse(answer.text).Results
    const last = input.actions.at(-1)!
    const got = results.find(({ KV }) => KV.Key === last.key)
    return ok({ done: true, found: [foundIn(got!.KV)] })
  }

  /** Takes, looks at and gives back one lock of few, by a session that ends by itself. */
  async #lockClient(at: number): Promise<void> {
    const draw = this.#drawOf(`lock${at}`)
    let session = ''
    let name = `lock${at}`
    for (let made = 0; !this.#isOver; made++) {
      await sleep(PAUSE_MS * 3)
      if (session === '' || draw.chance(5)) session = await this.#newSession(draw)
      if (session === '') continue
      const age = Math.floor(this.#requests++ / KEY_LIFE)
      const key = `lock/${this.#seed}/${age}/${draw.below(2)}`
      const f = draw.pick(['acquire', 'acquire', 'release', 'look'] as const)
      const input: LockInput = f === 'look' ? { f, key } : { f, key, session }
      const end = await this.#request(
        this.locks,
        name,
        input,
        () => this.#doLock(draw, input),
        f === 'look',
      )
      if (end.kind === 'unknown') name = `lock${at}.${made}`
      // Refused, or its fate not known: it may have ended.
      if (end.kind !== 'ok') session = ''
    }
  }

  async #newSession(draw: Draw): Promise<string> {
    // It hangs on no check: else it would end with the server that was asked, should that be away
    // for long.
    const common = { LockDelay: '1s', Behavior: 'release', NodeChecks: [] }
    const body = { TTL: `${SESSION_TTL_MS / 1_000}s`, ...common }
    try {
      const answer = await draw.pick(this.#servers).ask('PUT', '/v1/session/create', body)
      return answer.status === 200 ? JSON.parse(answer.text).ID : ''
    } catch {
      return ''
    }
  }

  async #doLock(draw: Draw, input: LockInput): Promise<End<LockOutput>> {
    const server = draw.pick(this.#servers)
    if (input.f === 'look') {
      const answer = await server.ask('GET', `/v1/kv/${input.key}`)
      if (answer.status === 404) return ok({ holder: '', fence: 0 })
      if (answer.status !== 200) return { kind: 'fail' }
      const [row]: Row[] = JSON.parse(answer.text)
      return ok({ holder: row!.Session ?? '', fence: row!.LockIndex })
    }
    const answer = await server.ask('PUT', `/v1/kv/${input.key}?${input.f}=${input.session}`)
    if (answer.status === 200) return ok({ done: answer.text === 'true' })
    // Its session is no more: surely nothing was done.
    return /invalid session/i.test(answer.text) ? { kind: 'fail' } : unclear(answer)
  }

  /** Follows one prefix from server to server: its index never goes back. */
  async #watcher(): Promise<void> {
    const draw = this.#drawOf('watcher')
    let index = 0
    while (!this.#isOver) {
      const url = `/v1/kv/run/?recurse&keys&index=${index}&wait=1s`
      try {
        const { status, headers } = await draw.pick(this.#servers).ask('GET', url)
        const given = Number(headers['x-consul-index'])
        if (status !== 200 && status !== 404) continue
        if (given < index) this.oddities.push(`the index went back from ${index} to ${given}`)
        index = Math.max(index, given)
      } catch {
        await sleep(PAUSE_MS)
      }
    }
  }

  /** Renews one session in time on any server: it must not end. */
  async #keeper(): Promise<void> {
    const draw = this.#drawOf('keeper')
    let session = ''
    let renewedAtMs = 0
    while (!this.#isOver) {
      await sleep(KEEP_PAUSE_MS)
      if (session === '') {
        session = await this.#newSession(draw)
        renewedAtMs = performance.now()
        continue
      }
      const askedAtMs = performance.now()
      const { status } = await draw
        .pick(this.#servers)
        .ask('PUT', `/v1/session/renew/${session}`)
        .catch(() => ({ status: 0 }))
      const silentMs = performance.now() - renewedAtMs
      if (status === 404 && silentMs < SESSION_TTL_MS) {
        this.oddities.push(`a session ended ${silentMs} ms after its last renewal`)
      }
      if (status === 404) session = ''
      if (status === 200) renewedAtMs = askedAtMs
    }
  }

  async #request<I, O>(
    history: History<I, O>,
    process: string,
    input: I,
    work: () => Promise<End<O>>,
    isLook = false,
  ): Promise<End<O>> {
    history.push({ process, kind: 'invoke', input })
    let end: End<O>
    try {
      end = await work()
    } catch (error) {
      // What only looks did nothing, whatever became of it; nor did what was never sent.
      const wasRefused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
      end = { kind: isLook || wasRefused ? 'fail' : 'unknown' }
    }
    history.push({ process, ...end })
    if (end.kind !== 'unknown') this.answered++
    return end
  }
}

interface Row {
  readonly Key: string
  readonly Value: string | null
  readonly ModifyIndex: number
  readonly LockIndex: number
  readonly Session?: string
}

const ok = <O>(output: O): End<O> => ({ kind: 'ok', output })

/** A transaction tells of a key that is not there by an index of 0. */
const foundIn = ({ Value, ModifyIndex }: Row): Found =>
  ModifyIndex === 0
    ? undefined
    : { value: Buffer.from(Value ?? '', 'base64').toString(), index: ModifyIndex }

const written = (answer: Answer): End<KeyOutput> =>
  answer.status === 200 ? ok({ done: answer.text === 'true', found: [] }) : unclear(answer)

/** What the client did wrong was not done; of any other failure nobody knows. */
const unclear = ({ status }: Answer): { kind: 'fail' | 'unknown' } => ({
  kind: status >= 400 && status < 500 ? 'fail' : 'unknown',
})

function verbOf(action: KeyAction): object {
  if (action.f === 'get') return { Verb: 'get-or-empty', Key: action.key }
  const value = 'value' in action ? Buffer.from(action.value ?? '').toString('base64') : undefined
  const index = action.f === 'cas' ? { Index: action.index } : {}
  return { Verb: action.f === 'put' ? 'set' : action.f, Key: action.key, Value: value, ...index }
}

function noteIndexes(seen: Map<string, number>, input: KeyInput, { found }: KeyOutput): void {
  const gets = (input.f === 'txn' ? input.actions : [input]).filter(({ f }) => f === 'get')
  for (const [at, { key }] of gets.entries()) seen.set(key, found[at]?.index ?? 0)
}

function wrong<I, O, S>(model: Model<I, O, S>, history: History<I, O>): string[] {
  const verdict = check(model, history)
  if (verdict.ok === true) return []
  if (verdict.ok === undefined) return [`${model.name}: too much to check: ${verdict.keys}`]
  return [`${model.name} is not linearizable:`, tell(verdict.counterexample)]
}
