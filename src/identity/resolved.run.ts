/**
 * Who sends a request, on an agent that has no rows of access control: as servers resolve it.
 *
 * Owns what holds of a token while no server can be reached (`acl.token_ttl`, `acl.down_policy`),
 * and who waits with rights that may end. A token is followed in its own name: servers tell at once
 * when its rights change or it is no more. Must never take a token for somebody's whom no server
 * knew, unless the configuration says so.
 */
import { createHmac } from 'node:crypto'
import type { Clock, Random } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { isSameSecret } from '../base/same-secret.ts'
import { inSlices } from '../base/slices.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import type { Authority, Lack, Who } from '../base/who.ts'
import type { Follows, Replica } from '../store/replica/engine.ts'
import { scope } from '../store/tables/names.ts'
import type { Waiter } from '../store/wait.ts'
import { ANONYMOUS_SECRET } from './authority.run.ts'
import { Explanations } from './explain.ts'
import type { Principal } from './resolve.ts'
import {
  principalInterest,
  principalOfRow,
  type ResolvedRow,
  resolvedPrincipals,
} from './resolved.ts'

export interface ResolvedSettings {
  readonly defaultPolicy: 'allow' | 'deny'
  readonly keyListPolicy: boolean
  /** What holds while no server can be reached: `allow`, `deny`, or what was known. */
  readonly downPolicy: string
  /** How long what servers said of a token holds without them. */
  readonly tokenTtlMs: number
}

export interface ResolvedAuthorityOptions {
  readonly replica: Pick<
    Replica,
    | 'stateOf'
    | 'refusalOf'
    | 'follow'
    | 'pin'
    | 'answered'
    | 'cellsOf'
    | 'isConnected'
    | 'ageMs'
    | 'scopes'
  >
  readonly clock: Clock
  readonly random: Random
  readonly timeouts: Timeouts
  readonly settings: ResolvedSettings
  /** The token of requests that show none, '' for the anonymous one. */
  readonly defaultToken: () => string
  /** A token that works on this agent whatever servers say, '' for none; and what it may do. */
  readonly recovery: () => { readonly token: string; readonly principal: Who } | undefined
}

const KEY_SIZE_BYTES = 32
/** How often those who wait are looked at, besides when a server tells something. */
const LOOK_MS = 500

const NOT_FOUND = new Refusal(403, 'ACL not found')
const UNAVAILABLE = 503
const NO_LEADER = new Refusal(500, 'No cluster leader')

interface Watch {
  readonly changed: () => void
  readonly as: Follows
  readonly rights: string
}

export class ResolvedAuthority implements Authority {
  readonly explanations = new Explanations()
  readonly #options: ResolvedAuthorityOptions
  /** Secrets are told apart by a keyed hash that means nothing outside of this process. */
  readonly #key: Buffer
  /** Principals by the row that they were made of: it changes whenever servers say so. */
  readonly #made = new WeakMap<ResolvedRow, Principal>()
  /** In whose name a principal is followed. */
  readonly #names = new WeakMap<Who, Follows>()
  readonly #watches = new Set<Watch>()
  #kept: readonly Follows[] = []
  #waiter: Waiter | undefined
  #timeout: Timeout | undefined

  constructor(options: ResolvedAuthorityOptions) {
    this.#options = options
    this.#key = options.random.bytes(KEY_SIZE_BYTES)
  }

  get defaultPolicy(): 'allow' | 'deny' {
    return this.#options.settings.defaultPolicy
  }

  /** In whose name something is followed for who shows this token. */
  followsOf(token: string): Follows {
    const shown = this.#shown(token)
    return { id: createHmac('sha256', this.#key).update(shown).digest('base64url'), token: shown }
  }

  /** Has servers tell whose these tokens are from now on, whether anybody shows them or not. */
  keep(tokens: readonly string[]): void {
    const { replica } = this.#options
    for (const as of this.#kept) replica.pin(principalInterest, as, false)
    this.#kept = tokens.map(token => this.followsOf(token))
    for (const as of this.#kept) replica.pin(principalInterest, as, true)
  }

  /**
   * Undefined where it is known whose a token is, as far as it can be; else a promise of that. It
   * never rejects: what no server said is told by `authenticate`.
   */
  ready(token: string): Promise<void> | undefined {
    const { replica } = this.#options
    const as = this.followsOf(token)
    const state = replica.stateOf(principalInterest, as)
    if (state === 'live' || state === 'refused') return undefined
    // Where no server is there it fails at once.
    return replica.answered(principalInterest, as).catch(() => {})
  }

  authenticate(token: string): Who | Refusal {
    const shown = this.#shown(token)
    const own = this.#options.recovery()
    if (own !== undefined && isSameSecret(shown, own.token)) return own.principal
    return this.#whoOf(this.followsOf(token))
  }

  #shown(token: string): string {
    return (token === '' ? this.#options.defaultToken() : token) || ANONYMOUS_SECRET
  }

  #whoOf(as: Follows): Who | Refusal {
    const { replica, clock } = this.#options
    const state = replica.stateOf(principalInterest, as)
    if (state === 'refused') {
      // Servers that are sealed cannot say whose it is.
      const refusal = replica.refusalOf(principalInterest, as)
      return refusal?.status === UNAVAILABLE ? refusal : NOT_FOUND
    }
    if (state !== 'live') {
      replica.follow(principalInterest, as)
      return replica.isConnected ? NO_LEADER : this.#unknown()
    }
    const [cell] = replica.cellsOf(resolvedPrincipals, principalInterest, as)
    if (cell === undefined) return NOT_FOUND
    const principal = this.#principal(cell.key, cell.row)
    this.#names.set(principal, as)
    if (principal.isOver(clock.wall())) return NOT_FOUND
    return this.#isLapsed() ? this.#lapsed(principal) : principal
  }

  #principal(key: string, row: ResolvedRow): Principal {
    let made = this.#made.get(row)
    if (made === undefined) {
      made = principalOfRow(key, row)
      this.#made.set(row, made)
    }
    return made
  }

  /** Whether what servers said is too old to hold by itself. */
  #isLapsed(): boolean {
    const { replica, settings } = this.#options
    return replica.ageMs() > settings.tokenTtlMs
  }

  /** Whoever was known, while no server can say whether that is still so. */
  #lapsed(principal: Principal): Who {
    const { downPolicy } = this.#options.settings
    return downPolicy === 'allow' || downPolicy === 'deny' ? whileDown[downPolicy] : principal
  }

  /** Whoever was never known, while no server can tell: the token may exist, and is not denied. */
  #unknown(): Who | Refusal {
    const { downPolicy } = this.#options.settings
    return downPolicy === 'allow' || downPolicy === 'deny' ? whileDown[downPolicy] : NO_LEADER
  }

  watch(who: Who, changed: () => void): () => void {
    const as = this.#names.get(who)
    if (as === undefined) return () => {}
    const watch: Watch = { changed, as, rights: who.rights }
    this.#watches.add(watch)
    this.#follow()
    return () => {
      this.#watches.delete(watch)
      if (this.#watches.size > 0) return
      this.#waiter?.cancel()
      this.#waiter = undefined
      this.#timeout?.cancel()
      this.#timeout = undefined
    }
  }

  /** A server told something; and time goes by that ends tokens, and what was said of them. */
  #follow(): void {
    const { replica, timeouts } = this.#options
    this.#waiter ??= replica.scopes.wait({ scope: scope.acl }, () => {
      this.#waiter = undefined
      if (this.#watches.size > 0) this.#follow()
      void inSlices([...this.#watches], watch => this.#look(watch))
    })
    this.#timeout ??= timeouts.after(LOOK_MS, () => {
      this.#timeout = undefined
      if (this.#watches.size > 0) this.#follow()
      void inSlices([...this.#watches], watch => this.#look(watch))
    })
  }

  #look(watch: Watch): void {
    if (!this.#watches.has(watch)) return
    const now = this.#whoOf(watch.as)
    if (!(now instanceof Refusal) && now.rights === watch.rights) return
    this.#watches.delete(watch)
    watch.changed()
  }

  note(lack: Lack): void {
    this.explanations.note(lack)
  }
}

/** By `down_policy`; access control itself is the servers' in any case. */
const whileDown: Readonly<Record<'allow' | 'deny', Who>> = {
  allow: { accessor: '', rights: 'down allow', may: ({ resource }) => resource !== 'acl' },
  deny: { accessor: '', rights: 'down deny', may: () => false },
}
