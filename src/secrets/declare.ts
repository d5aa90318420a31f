/**
 * Declarations: an engine or an auth method is one folder with declared paths.
 *
 * Owns the types. Routes, validation, help, OpenAPI, the check of answers and the table of docs
 * come from a declaration. A handler is a pure rule: it is given a draft of a transaction and what
 * the request says, and gives an answer or a refusal; what it put into the draft is written with
 * it.
 */
import type { WallMs } from '../base/brand.ts'
import type { Clock, Random } from '../base/clock.ts'
import type { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Store } from '../store/store.ts'
import type { Duty } from '../store/timekeeper.ts'
import type { Barrier } from './barrier/keyring.ts'
import type { ColdStorage } from './cold-storage.ts'
import type { RowEnd } from './deadline.ts'
import type { Wrapped } from './envelope.ts'
import type { Fields, JsonObject, Values } from './field.ts'
import type { LeaseRow } from './lease/lease.ts'
import type { MountRow } from './mount/mount.ts'
import type { Namespace } from './namespace/namespace.ts'
import type { Shape } from './shape.ts'
import type { Draft, Storage } from './storage.ts'
import type { TokenParams } from './token/params.ts'
import type { VaultPrincipal } from './token/principal.ts'
import type { TokenRow } from './token/token.ts'

/** What clients ask for; `create` is an update of what is not there yet. */
export const operations = [
  'read',
  'create',
  'update',
  'delete',
  'list',
  'scan',
  'patch',
  'help',
] as const
export type Operation = (typeof operations)[number]

/** The operations that have handlers of their own. */
export type Handled = Exclude<Operation, 'create' | 'help'>

/** What a request says beside its fields. */
export interface RequestFacts {
  readonly id: string
  /** The address of the client. */
  readonly remote: string
  /** The id of the agent that forwarded it; none where the client spoke to a server. */
  readonly forwarder?: string | undefined
  /** How long the answer is to be kept for one reader; undefined where it is not to be wrapped. */
  readonly wrapTtlMs: number | undefined
  /** Headers by lower-case name; no header that carries a token is among them. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The query of a read, an `X-Vault-…` header: whatever a path may need and no field says. */
  readonly isList: boolean
  /** Whether the head of an answer is asked for alone. */
  readonly isHead?: boolean
  /** Aborts once nobody waits for the answer; made for who asks. Without one nobody tells. */
  readonly signal?: AbortSignal
  /** The body as it was sent, where its type says that it is no data of fields (rawTypes). */
  readonly body?: Buffer
  /** The type of the body, in lower case and without parameters. */
  readonly mediaType?: string
  /** The path as it was sent, with what stands before it, where it is routed otherwise. */
  readonly sentPath?: string
}

/** Types of bodies that are taken as they are: what they say is for the path to read. */
export const rawTypes: ReadonlySet<string> = new Set([
  'application/jose+json',
  'application/ocsp-request',
])

/** Paths whose bodies are taken as they are, whatever their type says. */
export const rawPaths: ReadonlySet<string> = new Set([
  'sys/storage/raft/snapshot',
  'sys/storage/raft/snapshot-force',
])

/** What a handler is given. */
export interface Call<F extends Fields = Fields, P = undefined> {
  readonly operation: Operation
  /** The path below the mount, as it was authorised. */
  readonly path: string
  readonly fields: Values<F>
  /** All that the request's data says, known or not. */
  readonly data: JsonObject
  /** Whether the request itself says something of a field. */
  given(name: keyof F & string): boolean
  readonly mount: MountRow
  readonly namespace: Namespace
  /** Who asks; undefined where no token is asked for. */
  readonly who: VaultPrincipal | undefined
  /** What was shown as token, whether it is one or not; '' for nothing. Never to be told on. */
  readonly secret: string
  /** The header `Authorization`, where the path says that it looks at it. Never to be told on. */
  readonly authorization?: string | undefined
  readonly request: RequestFacts
  /** The rows of this mount. */
  readonly storage: Storage
  /**
   * Rows of this mount that are not held in memory. A rule puts and deletes them; they are read in
   * `prepare` alone.
   */
  readonly cold: ColdStorage
  /** The whole transaction, for rules about tokens, identity, mounts and policies. */
  readonly draft: Draft
  readonly now: WallMs
  readonly random: Random
  /** What was prepared for it before the transaction. */
  readonly prepared: P
}

/** What a login or a renewal gives, in the words of the envelope. */
export interface Auth {
  /** '' where a second factor is asked for: there is no token. */
  readonly client_token: string
  readonly accessor: string
  readonly policies: readonly string[] | null
  readonly token_policies?: readonly string[]
  readonly identity_policies?: readonly string[]
  readonly metadata: Readonly<Record<string, string>> | null
  readonly lease_duration: number
  readonly renewable: boolean
  readonly entity_id: string
  readonly token_type: 'service' | 'batch' | 'default'
  readonly orphan: boolean
  readonly mfa_requirement: MfaRequirement | null
  readonly num_uses: number
}

/** What is still asked for of who logs in. */
export interface MfaRequirement {
  readonly mfa_request_id: string
  /** All are to be satisfied, each by any of its methods. */
  readonly mfa_constraints: Readonly<Record<string, { readonly any: readonly MfaMethodShown[] }>>
}

interface MfaMethodShown {
  readonly type: string
  readonly id: string
  readonly uses_passcode: boolean
  readonly name?: string
}

/** What a lease is told as. */
export interface LeaseFacts {
  readonly id: string
  readonly renewable: boolean
  readonly durationS: number
}

export interface Answer {
  /** Undefined where there is nothing to say: 204 after a write, 404 after a read. */
  readonly data?: Readonly<Record<string, unknown>> | undefined
  /** The text of `data`, where it is JSON already: it is not parsed again. */
  readonly dataText?: string
  readonly auth?: Auth
  readonly lease?: LeaseFacts
  readonly warnings?: readonly string[]
  /** The status, where it is not the usual one. */
  readonly status?: number
  /** Errors beside data, as some answers have them. */
  readonly errors?: readonly string[]
  /** The whole body, where the answer has no envelope. */
  readonly bare?: unknown
  /** The whole body as text or bytes of a type. */
  readonly raw?: { readonly body: string | Buffer; readonly type: string }
  /** A body that goes on until it ends, or the signal comes; of the type that stands beside it. */
  readonly parts?: (signal: AbortSignal) => AsyncIterable<string | Uint8Array>
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  /** That it was wrapped already: nothing else is told. */
  readonly wrapped?: Wrapped
  /** The text that its token is told as, where that is another one: a JWT. */
  readonly wrappedAs?: string
  /** The accessor of what was wrapped, where the answer holds a token or the like. */
  readonly wrappedAccessor?: string
  /** Whether the answer is kept for one reader, for so long, although nobody asked for it. */
  readonly wrapTtlMs?: number
  /**
   * A further request that the room makes for who asks, once what was put is written: its answer is
   * given in place of this one. In the same namespace, by the rules for everybody.
   */
  readonly onward?: { readonly path: string; readonly data: JsonObject }
  /**
   * A further step of work that is larger than one transaction, which this one began: true once
   * nothing is left. The answer is given after the last one; the timekeeper goes on where this
   * server does not.
   */
  readonly rest?: (draft: Draft) => boolean
}

/** Nothing to say. */
export const NOTHING: Answer = {}

export type Outcome = Answer | Refusal

interface OperationBase {
  readonly summary: string
  /** What `data` holds; undefined where there is none. A bare answer is checked against it too. */
  readonly answer?: Shape
  /** Whether the answer carries `auth`. */
  readonly givesAuth?: boolean
  /** Requests to show in help and docs: the data of each. */
  readonly examples?: readonly Readonly<Record<string, unknown>>[]
}

/** An operation on rows: a pure rule. */
export interface RuleSpec<F extends Fields = Fields, P = undefined> extends OperationBase {
  /**
   * Whether it changes nothing although its verb would, or changes something although not. One that
   * reads as a rule may put rows: it is decided again then, in a transaction.
   */
  readonly effect?: 'reads' | 'writes'
  /**
   * Work that takes time (a password's hash), before the transaction and on a view of its own. What
   * is given at once is not waited for.
   */
  prepare?(call: Call<F>): Promise<P | Refusal> | P | Refusal
  /**
   * Of one that reads as a rule: whether rows are put of what was prepared. It is decided in the
   * transaction alone then, and not before it as well.
   */
  puts?(prepared: P): boolean
  run(call: Call<F, P>): Outcome
}

/** What an operation on the server itself is given: no rows. */
export type ActCall<F extends Fields = Fields> = Pick<
  Call<F>,
  'operation' | 'path' | 'fields' | 'data' | 'given' | 'request'
> & {
  /** Undefined while sealed, or where no token is asked for. */
  readonly who: VaultPrincipal | undefined
  readonly namespace: Namespace
}

/** An operation on the server itself: its seal, its devices, its measurements. */
export interface ActSpec<F extends Fields = Fields> extends OperationBase {
  act(call: ActCall<F>): Promise<Outcome> | Outcome
}

export type OperationSpec<F extends Fields = Fields, P = undefined> = RuleSpec<F, P> | ActSpec<F>

/** What a path asks of who calls it: evaluated by the room, before a handler is called. */
export type PathAccess =
  /** The capability of the operation on the path. */
  | 'authorized'
  /** The same, and `sudo`. */
  | 'privileged'
  /** A token that holds, whatever it may. */
  | 'token'
  /** No token; one that is shown must hold, and the handler is told whose it is. */
  | 'optional'
  /** No token; nobody looks at one that is shown. */
  | 'open'

export interface PathSpec<F extends Fields = Fields> {
  /**
   * `roles/{name}`: an open part takes one segment, `{path*}` takes the rest, up to letters that
   * may stand behind it.
   */
  readonly pattern: string
  readonly help: { readonly synopsis: string; readonly description: string }
  readonly fields: F
  readonly access: PathAccess
  /** Whether it looks at the header `Authorization` itself: OAuth shows secrets there. */
  readonly seesAuthorization?: boolean
  /** Whether an open path takes a use away from a token that is shown, unless of a wrapping. */
  readonly countsUses?: boolean
  /** Whether it is only there in the root namespace. */
  readonly isRootOnly?: boolean
  /** Whether it answers while sealed, and before there is anything: all its operations act. */
  readonly whileSealed?: boolean
  /** Whether the data is taken as it is, beyond the fields: nothing in it is unknown. */
  readonly takesAnyField?: boolean
  /** Whether what is posted is there already; without it, posting is always an update. */
  exists?(call: Call<F>): boolean
  // biome-ignore lint/suspicious/noExplicitAny: what is prepared differs between operations
  readonly operations: Readonly<Partial<Record<Handled, OperationSpec<F, any>>>>
}

/** Declares a path; its fields give the handlers their types. */
export const path = <F extends Fields>(spec: PathSpec<F>): PathSpec => spec as unknown as PathSpec

/** Declares an operation with work before the transaction. */
export const prepared = <F extends Fields, P>(spec: RuleSpec<F, P>): RuleSpec<F, P> => spec

export type EngineKind = 'secret' | 'auth' | 'system'

/** What is written as a lease is settled. Pure. */
export type Settling = (draft: Draft) => void

export interface Engine {
  /** What `type` says when it is mounted. */
  readonly type: string
  readonly kind: EngineKind
  readonly help: string
  /** The paths, for a mount with these options. */
  paths(mount: MountRow): readonly PathSpec[]
  /** Whether users may mount it, and tune what they mounted. */
  readonly isMountable: boolean
  /** Options that a mount may have, with what is wrong about given ones. */
  checkOptions?(options: Readonly<Record<string, string>>): Refusal | undefined
  /** Runs as the options of a mount change, in the same transaction; may refuse that. */
  tuned?(draft: Draft, before: MountRow, after: MountRow): Refusal | undefined
  /** Runs as a mount of it goes, before its rows do. */
  unmount?(draft: Draft, mount: MountRow): void
  /**
   * How a login's token is to live on, asked as it is renewed: refused where the role is gone, or
   * means another one by now. Without it, a token is renewed as it was given.
   */
  renew?(draft: Draft, mount: MountRow, token: TokenRow): TokenParams | Refusal
  /**
   * Takes back what a lease was given for; what is gone already counts as that. It is asked again,
   * at ever longer intervals, until it resolves. The draft is for reading alone; what is to be
   * written is a rule that it resolves to, run in the transaction that settles the lease.
   */
  revoke?(draft: Draft, mount: MountRow, lease: LeaseRow): Promise<Settling | undefined>
  /** What ends its rows that are over. */
  readonly ends?: readonly RowEnd[]
  /** What the one server does for it that keeps the time for all. */
  duties?(ports: DutyPorts): readonly Duty[]
}

/** What the duties of engines are given. */
export interface DutyPorts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Undefined while this server is sealed: nothing is done then. */
  readonly barrier: () => Barrier | undefined
}
