/**
 * Who asks, and what for: the words in which rights are asked about everywhere.
 *
 * Owns the types, the principal that may do everything, and the caller: a principal together with
 * the request that it makes. What a principal may do is decided by the identity room; the rules of
 * other rooms only ask.
 */
import type { Refusal } from './errors.ts'

export const capabilities = ['read', 'list', 'write'] as const
export type Capability = (typeof capabilities)[number]

export const resources = [
  'acl',
  'agent',
  'event',
  'identity',
  'intention',
  'key',
  'key_prefix',
  'keyring',
  'mesh',
  'node',
  'operator',
  'peering',
  'query',
  'service',
  'session',
] as const
export type Resource = (typeof resources)[number]

/** One right: a capability on a resource; `name` is '' for resources that have none. */
export interface Access {
  readonly capability: Capability
  readonly resource: Resource
  readonly name: string
  /** Where no one name is meant: on at least one name (`any`), or on every name (`all`). */
  readonly extent?: 'any' | 'all'
}

export const access = (capability: Capability, resource: Resource, name = ''): Access => ({
  capability,
  resource,
  name,
})

/** The right on at least one name of a resource. */
export const accessToAny = (capability: Capability, resource: Resource): Access => ({
  capability,
  resource,
  name: '',
  extent: 'any',
})

/** The right on every name of a resource. */
export const accessToAll = (capability: Capability, resource: Resource): Access => ({
  capability,
  resource,
  name: '',
  extent: 'all',
})

export interface Who {
  /** The accessor of the token, for logs and refusals; never its secret. */
  readonly accessor: string
  /** Equal for principals with equal rights: answers are shared among them. */
  readonly rights: string
  may(wanted: Access): boolean
  /** The request that is made; undefined for the server's own work. */
  readonly request?: RequestFacts
}

/** The accessor of the token that stands for requests without one. Consul's. */
export const ANONYMOUS_ACCESSOR = '00000000-0000-0000-0000-000000000002'

/** Whether it shows no token. */
export const isAnonymous = ({ accessor }: Who): boolean =>
  accessor === ANONYMOUS_ACCESSOR || accessor === everybody.accessor

/** The principal of a server whose ACLs are off: it may do everything. */
export const everybody: Who = { accessor: 'anonymous', rights: 'all', may: () => true }

/** Conditions that did not hold for a request, and what came of that. */
export interface Unmet {
  /** Those that let it pass, and those that were passed over as asked: by name. */
  advisories: readonly string[]
  overridden: readonly string[]
  /** The one that refused it, with its level. */
  refusedBy: { readonly name: string; readonly level: string } | undefined
}

export const nothingUnmet: Readonly<Unmet> = {
  advisories: [],
  overridden: [],
  refusedBy: undefined,
}

/** What is known of a request beside its body's meaning: for audit, conditions, explanations. */
export interface RequestFacts extends Unmet {
  /** What the answer's X-Request-Id says. */
  readonly id: string
  /** The declared path with its method, such as `PUT /v1/kv/{key}`; of gRPC, the method's path. */
  readonly operation: string
  /** Whether it changes nothing, where the operation begins with no method of HTTP's. */
  readonly isRead?: boolean
  /** What the path leaves open, as it was authorised: percent-decoded once. */
  readonly name: string
  /** The query as it came: there may be a token in it. Audit picks out what it may tell. */
  readonly query: string
  /** The address of the client. */
  readonly remote: string
  /** The id of the agent that forwarded the request; none where the client spoke to this one. */
  readonly forwarder?: string | undefined
  /** The decoded body, where there is one; for conditions alone, never written anywhere. */
  body: unknown
  bodySizeBytes: number
  /** Whether the caller asks that soft conditions be passed over. */
  readonly overrides: boolean
  /** Whether it only says that something is still so, as clients do again and again. */
  readonly isRenewal: boolean
  /** What its record says beside, as JSON without a secret in it; such a request always has one. */
  detail?: () => string
  /** Whether a transaction of this request carries its audit record. */
  recorded: boolean
}

/** How many of the rights that a request lacked are kept, for its explanation. */
const LACKING_KEPT = 8

/** What a caller was asked for and did not have. */
export class Lacked {
  /** The first of the rights that were lacking. */
  readonly rights: Access[] = []
  /** How often a right was lacking. */
  count = 0

  add(wanted: Access): void {
    this.count++
    if (this.rights.length < LACKING_KEPT) this.rights.push(wanted)
  }

  /** Gives what was noted, and begins again. */
  take(): { readonly rights: readonly Access[]; readonly count: number } {
    const taken = { rights: this.rights.splice(0), count: this.count }
    this.count = 0
    return taken
  }
}

/**
 * A principal as it makes one request: it notes what it lacked, so that a refusal can be explained
 * and an answer says whether something was left out of it.
 */
export class Caller implements Who {
  readonly principal: Who
  readonly request: RequestFacts
  readonly lacked: Lacked
  /** The rights to write that were asked for and there, where somebody wants to know them. */
  readonly granted: Access[] | undefined

  constructor(
    principal: Who,
    request: RequestFacts,
    lacked: Lacked = new Lacked(),
    granted?: Access[],
  ) {
    this.principal = principal
    this.request = request
    this.lacked = lacked
    this.granted = granted
  }

  get accessor(): string {
    return this.principal.accessor
  }

  get rights(): string {
    return this.principal.rights
  }

  may(wanted: Access): boolean {
    if (this.principal.may(wanted)) {
      if (this.granted !== undefined && wanted.capability === 'write') this.granted.push(wanted)
      return true
    }
    this.lacked.add(wanted)
    return false
  }
}

/** A principal that asks by itself, without a client: a watch of the agent's. */
export const ownCall = (who: Who, operation: string): Caller =>
  new Caller(who, {
    id: '',
    operation,
    name: '',
    query: '',
    remote: '',
    body: undefined,
    bodySizeBytes: 0,
    overrides: false,
    isRenewal: false,
    recorded: false,
    ...nothingUnmet,
  })

/** The principal of whoever asks, without the request. */
export const principalOf = (who: Who): Who => (who instanceof Caller ? who.principal : who)

/** Whether it need not be asked: it may do everything, and nobody notes what it was asked for. */
export const isUnbounded = (who: Who): boolean =>
  principalOf(who) === everybody && !(who instanceof Caller && who.granted !== undefined)

/** How a face learns who sends a request, and that this is no longer so. */
export interface Authority {
  /** What holds where no policy says anything. */
  readonly defaultPolicy: 'allow' | 'deny'
  /**
   * Who shows this token ('' for none), by the durable view; a refusal where nobody does. Where the
   * connection is given that it came on, whoever shows it there again is found in less time.
   */
  authenticate(token: string, connection?: object): Who | Refusal
  /**
   * The same by the view as it is, however old, and without a default for who shows none: for
   * agents that know how old it is.
   */
  byView?(token: string): Who | Refusal
  /**
   * Where others are asked whose a token is: undefined once that is known, else a promise of it. It
   * never rejects.
   */
  ready?(token: string): Promise<void> | undefined
  /** Calls once when the principal's rights change, or it is no more. Gives what ends the watch. */
  watch(who: Who, changed: () => void): () => void
  /** Keeps what a request lacked or did not meet, so that it can be explained under its id. */
  note(lack: Lack): void
}

/** A request that lacked rights, or for which conditions did not hold. */
export interface Lack {
  readonly id: string
  readonly who: Who
  /** What was asked, such as `PUT /v1/kv/{key}`, and of what. */
  readonly operation: string
  readonly name: string
  /**
   * What came of it: the request was refused, or what it may not see was left out, or it went on
   * although conditions did not hold.
   */
  readonly outcome: 'refused' | 'filtered' | 'allowed'
  readonly lacking: readonly Access[]
  /** How many were lacking in all. */
  readonly count: number
  readonly unmet: Readonly<Unmet>
  /** Why it was turned away before anybody looked who sent it; then nothing else is known of it. */
  readonly turnedAway?: {
    readonly status: number
    readonly reason: string
    readonly remote: string
  }
}

/** The authority of a server whose ACLs are off. */
export const openAuthority: Authority = {
  defaultPolicy: 'allow',
  authenticate: () => everybody,
  watch: () => () => {},
  note: () => {},
}
