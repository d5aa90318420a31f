/**
 * The secrets on a store of the test's own, and a client that is stricter than any: every answer
 * is held against its declaration, part by part.
 *
 * The parts are joined as the program does; nothing is faked but the seal, which is open.
 */
import type { Test } from 'tap'
import { conditionCompiler } from '../../src/agent/secrets-conditions.ts'
import { toText } from '../../src/base/bytes.ts'
import { type Clock, systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import type { Who } from '../../src/base/who.ts'
import { type Barrier, Keyring } from '../../src/secrets/barrier/keyring.ts'
import { Engines, planOf, type SecretsRequest } from '../../src/secrets/decide.ts'
import type { Engine, Operation, PathSpec, RequestFacts } from '../../src/secrets/declare.ts'
import { Denials } from '../../src/secrets/denials.ts'
import { enginesOn } from '../../src/secrets/engine/mod.ts'
import { pathsWhileSealed } from '../../src/secrets/engine/sys/engine.ts'
import type { SystemPorts } from '../../src/secrets/engine/sys/ports.ts'
import type { Rendered } from '../../src/secrets/envelope.ts'
import type { Json } from '../../src/secrets/field.ts'
import type { RegistryTokens } from '../../src/secrets/grant/grant.ts'
import { writeInitialRows } from '../../src/secrets/initial.ts'
import { type MountRow, newMount, putMount } from '../../src/secrets/mount/mount.ts'
import type { Offline } from '../../src/secrets/offline.ts'
import type { QuotaKind } from '../../src/secrets/quota/quota.ts'
import { Secrets } from '../../src/secrets/room.run.ts'
import { Draft } from '../../src/secrets/storage.ts'
import type { JournalEntry } from '../../src/store/journal.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import type { Store } from '../../src/store/store.ts'
import { aclTables } from '../../src/store/tables/acl.ts'
import { secretData, secretTables } from '../../src/store/tables/secret.ts'
import { testPorts } from './ports.ts'

/** The first token of every test's secrets. */
export const ROOT_TOKEN = 'root-of-tests'

export const tables = withSystemTables([...secretTables, ...aclTables])

/** A keyring of the test's own. */
export const newKeyring = (): Keyring =>
  new Keyring(new Map([[1, systemRandom.bytes(32)]]), systemRandom.bytes(32))

export interface SecretsOptions {
  readonly open?: () => Promise<Store> | Store
  readonly clock?: Clock
  readonly sealedPaths?: readonly PathSpec[]
  readonly engines?: readonly Engine[]
  /** What of the system engine's ports is not a test's own. */
  readonly ports?: Partial<SystemPorts>
  /** Makes the audit records of writes; there are none unless it is given. */
  readonly recordOf?: (who: Who) => JournalEntry | undefined
  /** How long reads go on without the store; not at all unless given. */
  readonly offline?: Offline
  /** Hears of what quotas refused. */
  readonly exceeded?: (kind: QuotaKind) => void
  /** Of the registry's tokens; it has none unless given. */
  readonly registry?: RegistryTokens
}

/** How a request is made: all but the path may be left out. */
export interface Asked {
  readonly token?: string
  readonly namespace?: string
  readonly data?: { readonly [key: string]: Json }
  readonly wrapTtlMs?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly remote?: string
  /** A body that is no data of fields, with its type. */
  readonly body?: Buffer
  readonly mediaType?: string
  readonly isHead?: boolean
  /** The header of that name. */
  readonly authorization?: string
}

/** An answer, parsed. */
export interface Got {
  /** Of the request. */
  readonly id: string
  readonly status: number
  readonly text: string
  /** Those that are this answer's own. */
  readonly headers: Readonly<Record<string, string>>
  /** The body as it came, where it is bytes. */
  readonly bytes: Buffer
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly body: any
}

/** Secrets that a test speaks to. */
export class TestSecrets {
  readonly store: Store
  readonly secrets: Secrets
  readonly engines: Engines
  readonly clock: Clock
  readonly denials = new Denials()
  barrier: Barrier | undefined
  #requests = 0

  constructor(store: Store, { clock = systemClock, ports, ...more }: SecretsOptions) {
    const { denials } = this
    const engines =
      more.engines ?? enginesOn(testPorts({ denials, registry: more.registry, ...ports }))
    const sealedPaths = more.sealedPaths ?? pathsWhileSealed(engines)
    this.store = store
    this.clock = clock
    this.barrier = newKeyring()
    this.engines = new Engines(engines)
    this.secrets = new Secrets({
      store,
      clock,
      sealedPaths,
      denials,
      conditions: conditionCompiler,
      random: systemRandom,
      engines: this.engines,
      seal: { barrier: () => this.barrier },
      recordOf: more.recordOf ?? (() => undefined),
      registry: more.registry,
      offline: more.offline,
      ...(more.exceeded && { exceeded: more.exceeded }),
    })
  }

  /** Writes rows without asking anybody. */
  async write(change: (draft: Draft) => void): Promise<void> {
    const written = await this.store.write((view, now, random) => {
      const draft = new Draft(view, this.barrier!, now, random)
      change(draft)
      return { txn: draft.ops(), answer: true }
    })
    if (written instanceof Refusal) throw new Error(written.text)
  }

  /** The keys of all rows behind the barrier. */
  rows(): string[] {
    return [...this.store.view().entries(secretData)].map(({ key }) => toText(key))
  }

  /** Mounts an engine of a type at a path, which ends in a slash. */
  async mount(type: string, path: string, more: Partial<MountRow> = {}): Promise<void> {
    const { kind = 'secret', namespaceId = 'root' } = more
    await this.write(draft =>
      putMount(draft, newMount(draft.random, { kind, namespaceId, type, path, ...more })),
    )
  }

  /** Makes a request as the first token unless another is named; what comes back is checked. */
  async ask(operation: Operation, path: string, asked: Asked = {}): Promise<Got> {
    const { token = ROOT_TOKEN, namespace = '', data = {}, wrapTtlMs, headers = {} } = asked
    const isList = operation === 'list' || operation === 'scan'
    const id = `request-${++this.#requests}`
    const remote = asked.remote ?? '127.0.0.1'
    const { body, mediaType, isHead, authorization } = asked
    const raw = { ...(body && { body, mediaType }), ...(isHead === true && { isHead }) }
    const facts = { id, remote, wrapTtlMs, headers, isList, ...raw } as RequestFacts
    const request: SecretsRequest = {
      ...{ operation, namespace, token, authorization, data, facts },
      path: isList && !path.endsWith('/') ? `${path}/` : path,
    }
    const handled = await this.secrets.handle(request)
    const got = { ...parsed(handled), id }
    const faults = handled instanceof Refusal ? [] : this.#faultsOf(request, handled, got)
    if (faults.length > 0) throw new Error(`${operation} ${path}: ${faults.join('; ')}`)
    return got
  }

  read = (path: string, asked?: Asked) => this.ask('read', path, asked)
  list = (path: string, asked?: Asked) => this.ask('list', path, asked)
  remove = (path: string, asked?: Asked) => this.ask('delete', path, asked)
  post = (path: string, data: Asked['data'] = {}, asked: Asked = {}) =>
    this.ask('update', path, { ...asked, data })

  /** What of an answer is not as it was declared. */
  #faultsOf(request: SecretsRequest, { status }: Rendered, { body, text }: Got): string[] {
    if (status === 204 || text === '' || this.barrier === undefined) return []
    const draft = new Draft(this.store.view(), this.barrier, this.#now(), systemRandom)
    const plan = planOf(draft, this.engines, request)
    if (plan instanceof Refusal || plan.spec === undefined) return []
    const { answer } = plan.spec
    const isBare = !Object.hasOwn(body, 'request_id')
    const data: unknown = isBare ? body : body.data
    if (isBare && Object.hasOwn(body, 'errors')) return []
    if (request.facts.wrapTtlMs !== undefined || body.wrap_info) return []
    if (answer === undefined) return data === null || data === undefined ? [] : ['data undeclared']
    return data === null ? [] : answer.check(data, 'data')
  }

  #now() {
    return this.clock.wall() as never
  }
}

function parsed(handled: Rendered | Refusal): Omit<Got, 'id'> {
  if (handled instanceof Refusal) {
    const errors = handled.text === '' ? [] : [handled.text]
    const { status, text } = handled
    return { status, text, headers: {}, bytes: Buffer.alloc(0), body: { errors } }
  }
  const text = handled.body.toString()
  const isJson = handled.type === 'application/json' && text !== ''
  const { status, headers = {} } = handled
  const bytes = Buffer.from(handled.body)
  return { status, text, headers, bytes, body: isJson ? JSON.parse(text) : {} }
}

/** Secrets that are initialised and unsealed, gone when the test is over. */
export async function openSecrets(t: Test, options: SecretsOptions = {}): Promise<TestSecrets> {
  const { clock = systemClock } = options
  const store = await (options.open?.() ??
    openMemoryStore({ tables, clock, random: systemRandom, onCommit: () => {} }))
  t.teardown(() => store.close())
  const test = new TestSecrets(store, options)
  await test.write(draft => writeInitialRows(draft, ROOT_TOKEN))
  return test
}
