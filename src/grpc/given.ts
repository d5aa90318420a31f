/**
 * A call as handlers see it, and who makes it.
 *
 * Owns the token of a call (which entry of its metadata it is) and the facts that records,
 * conditions and explanations are told of it. Decides nothing.
 */
import type { PublicCall } from '../base/io/grpc-public.ts'
import { Caller, type RequestFacts, type Who } from '../base/who.ts'
import { decidedInside, type GrpcCall, type GrpcMethod } from './declare.ts'

/** Somebody whose token nobody knows, or who was not asked for one. */
const NOBODY: Who = { accessor: 'unknown', rights: '', may: () => false }

/** Adds to what a call said before it was known who makes it. */
export class GivenCall implements GrpcCall {
  readonly #call: PublicCall
  readonly id: string
  readonly token: string
  readonly remote: string
  /** What is known of the call beside who makes it. */
  readonly facts: MutableFacts
  #who: Caller | undefined
  #gone: AbortController | undefined
  #isOver = false

  constructor(method: GrpcMethod, call: PublicCall, id: string) {
    this.#call = call
    this.id = id
    this.token = tokenOf(method, call)
    this.remote = call.remote
    this.facts = factsOf(method, call, { id, remote: this.remote })
  }

  /** Nobody until it is said who. */
  get who(): Caller {
    this.#who ??= new Caller(NOBODY, this.facts)
    return this.#who
  }

  set who(who: Caller) {
    this.#who = who
  }

  get leftMs(): number | undefined {
    return this.#call.leftMs
  }

  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController()
      if (this.#isOver) this.#gone.abort()
      else this.#call.onOver(() => this.leave())
    }
    return this.#gone.signal
  }

  header(name: string): string | undefined {
    return this.#call.header(name)
  }

  /** Tells that nobody waits any more. */
  leave(): void {
    this.#isOver = true
    this.#gone?.abort()
  }
}

const BEARER = /^Bearer +/i

/**
 * The token that a call shows, '' for none. Each half of the server has a name of its own for it,
 * so that whoever speaks with both may always send both.
 */
function tokenOf({ access }: GrpcMethod, call: PublicCall): string {
  const consul = call.header('x-consul-token') ?? ''
  const vault = call.header('x-vault-token') ?? ''
  const [own, other] = access === decidedInside ? [vault, consul] : [consul, vault]
  if (own !== '') return own
  const authorization = call.header('authorization') ?? ''
  const bearer = BEARER.test(authorization) ? authorization.replace(BEARER, '').trim() : other
  // Another agent's default is a token of the registry.
  return bearer === '' && access !== decidedInside ? (call.defaultToken ?? '') : bearer
}

/** How a method is named in records: with what it leaves open, where it says what that is. */
const operationOf = ({ path, nameOf }: GrpcMethod): string =>
  `GRPC /${path}${nameOf === undefined ? '' : '/{name}'}`

interface Known {
  readonly id: string
  readonly remote: string
}

const factsOf = (method: GrpcMethod, call: PublicCall, { id, remote }: Known): MutableFacts => ({
  id,
  operation: operationOf(method),
  isRead: method.effect === 'reads',
  name: '',
  query: '',
  remote,
  forwarder: call.forwarder,
  body: undefined,
  bodySizeBytes: 0,
  overrides: call.header('x-policy-override') === 'true',
  isRenewal: method.isRenewal ?? false,
  recorded: false,
  advisories: NONE,
  overridden: NONE,
  refusedBy: undefined,
})

/** The facts while the call is read. */
export type MutableFacts = { -readonly [Key in keyof RequestFacts]: RequestFacts[Key] }

const NONE: readonly string[] = []
