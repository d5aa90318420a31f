/**
 * Who sends a request: tokens to principals by the durable view, and news when that changes.
 *
 * Owns what is remembered of tokens that were shown before, and whoever waits with rights that may
 * end: a change of any ACL row, or a token's time, makes those be looked at again. A secret is
 * hashed and forgotten, but for the last one of each connection (shown-secrets.ts). Must never let
 * what is remembered outlive the rows that it stands on.
 */
import { type Revision, type WallMs, wallMs } from '../base/brand.ts'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { isSameSecret } from '../base/same-secret.ts'
import { ShownSecrets } from '../base/shown-secrets.ts'
import { inSlices } from '../base/slices.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import type { Authority, Lack, Who } from '../base/who.ts'
import type { Age } from '../store/freshness.ts'
import type { Store } from '../store/store.ts'
import { tokens } from '../store/tables/acl.ts'
import { scope } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import type { Waiter } from '../store/wait.ts'
import { Explanations } from './explain.ts'
import { isSameOther, type OtherToken, type OtherTokens } from './other-token.ts'
import type { RegistryKey } from './registry-key.ts'
import { type AclSettings, Principal, resolve } from './resolve.ts'
import { resolveOther } from './resolve-other.ts'

export const ANONYMOUS_SECRET = 'anonymous'

export interface AuthorityOptions {
  readonly store: Store
  readonly key: RegistryKey
  readonly clock: Clock
  readonly timeouts: Timeouts
  readonly settings: AclSettings
  /** The token of requests that show none, '' for the anonymous one. */
  readonly defaultToken: () => string
  /** How old the view is. One that is too old resolves nobody whom it has not resolved before. */
  readonly age?: Pick<Age, 'isDegraded'>
  /** What holds then: `allow`, `deny`, or what was known (Consul's names). */
  readonly downPolicy?: string
  /** A token that works on this agent whatever the store says, '' for none; and what it may do. */
  readonly recovery: () => { readonly token: string; readonly principal: Who } | undefined
  /** Who knows the tokens of the secrets; undefined where there are none, or not yet. */
  readonly others?: () => OtherTokens | undefined
}

/** Somebody who waits with the rights of a principal. */
interface Watch {
  readonly changed: () => void
  /** Among whom it is counted now. */
  of: Watched
}

interface Watched {
  readonly principal: Principal
  readonly watches: Set<Watch>
  timeout: Timeout | undefined
}

export class TokenAuthority implements Authority {
  readonly explanations = new Explanations()
  /**
   * Others may have made a token that this view does not show yet: the store is asked before it is
   * said to be nobody's. Where the store is not shared there are no others, and nobody to ask.
   * Undefined where the token is known.
   */
  readonly ready?: (token: string) => Promise<void> | undefined
  readonly #options: AuthorityOptions
  readonly #anonymousKey: string
  readonly #shown: ShownSecrets
  /** Principals by the keyed hash of their secret, and which rows they were last held against. */
  readonly #known = new Map<string, { readonly principal: Principal; heldAt: Revision }>()
  readonly #watched = new Map<Principal, Watched>()
  #waiter: Waiter | undefined
  /** Of whatever may have changed tokens of the secrets. */
  #othersWaiter: Waiter | undefined
  #othersTimeout: Timeout | undefined
  #hearsOthers = false

  constructor(options: AuthorityOptions) {
    this.#options = options
    this.#anonymousKey = options.key.hashOf(ANONYMOUS_SECRET)
    this.#shown = new ShownSecrets(secret => options.key.hashOf(secret))
    if (options.store.supports.shared) this.ready = token => this.#ready(token)
  }

  get defaultPolicy(): 'allow' | 'deny' {
    return this.#options.settings.defaultPolicy
  }

  authenticate(token: string, connection?: object): Who | Refusal {
    const { defaultToken, recovery } = this.#options
    const shown = token === '' ? defaultToken() : token
    const own = recovery()
    if (shown !== '' && own !== undefined && isSameSecret(shown, own.token)) return own.principal
    const tokenKey = shown === '' ? this.#anonymousKey : this.#shown.keyOf(shown, connection)
    return this.#options.age?.isDegraded === true
      ? this.#whileDegraded(tokenKey, shown)
      : this.#whoShows(tokenKey, shown)
  }

  #ready(token: string): Promise<void> | undefined {
    const { store, key, age, defaultToken, recovery } = this.#options
    if (age?.isDegraded === true) return undefined
    const shown = token === '' ? defaultToken() : token
    const own = recovery()
    if (shown === '' || (own !== undefined && isSameSecret(shown, own.token))) return undefined
    const tokenKey = key.hashOf(shown)
    if (this.#known.has(tokenKey) || store.view().get(tokens, tokenKey) !== undefined) {
      return undefined
    }
    // One that cannot be seen here now is not made known by others.
    if (this.#found(shown) !== undefined) return undefined
    // Without an answer what is known has to do.
    return store.readIndex().then(
      () => {},
      () => {},
    )
  }

  byView(token: string): Principal | Refusal {
    if (token === '') return this.#principal(this.#anonymousKey)
    return this.#whoShows(this.#options.key.hashOf(token), token)
  }

  /** The registry's own tokens stand before those of the secrets. */
  #whoShows(tokenKey: string, shown: string): Principal | Refusal {
    const own = this.#principal(tokenKey)
    if (!(own instanceof Refusal)) return own
    const found = this.#found(shown)
    if (found === undefined || found instanceof Refusal) return found ?? own
    return this.#principalOf(found)
  }

  /** The token of the secrets that a secret is, by the durable view. */
  #found(shown: string): OtherToken | Refusal | undefined {
    const { store, clock, others } = this.#options
    if (shown === '') return undefined
    return others?.()?.find(store.view(), shown, wallMs(clock.wall()))
  }

  /**
   * Who it is by a view that may be old: somebody who was known before, unless it is said that then
   * everybody may do all but change access control, or nobody anything. A token that is not known
   * may exist, so that is not denied.
   */
  #whileDegraded(tokenKey: string, shown: string): Who | Refusal {
    const { downPolicy = '' } = this.#options
    if (downPolicy === 'allow') return DOWN_ALLOW
    if (downPolicy === 'deny') return DOWN_DENY
    const isKnown = this.#known.has(tokenKey) || tokenKey === this.#anonymousKey
    if (isKnown) return this.#principal(tokenKey)
    const found = this.#found(shown)
    if (found instanceof Refusal) return found
    return found !== undefined && this.#known.has(found.key) ? this.#principalOf(found) : NO_LEADER
  }

  /** The principal of a row's key, by the durable view. */
  #principal(tokenKey: string): Principal | Refusal {
    const { store, clock, settings } = this.#options
    const view = store.view()
    const now = wallMs(clock.wall())
    const known = this.#known.get(tokenKey)
    // What touches no row of theirs cannot have changed them.
    const changedAt = store.scopes.newest(scope.acl)
    if (known !== undefined && this.#holds(known, changedAt, view, now)) return known.principal
    this.#known.delete(tokenKey)
    const principal = resolve(view, tokenKey, now, settings, this.#anonymousKey)
    if (!(principal instanceof Refusal)) this.#remember(principal, changedAt)
    return principal
  }

  /** The principal of a token of the secrets as it is now, by the durable view. */
  #principalOf(token: OtherToken): Principal {
    const { store, settings } = this.#options
    const changedAt = store.scopes.newest(scope.acl)
    const known = this.#known.get(token.key)
    const elsewhere = known?.principal.elsewhere
    if (known !== undefined && elsewhere !== undefined && isSameOther(elsewhere.token, token)) {
      if (known.heldAt === changedAt || elsewhere.standsIn(store.view())) {
        known.heldAt = changedAt
        return known.principal
      }
    }
    this.#known.delete(token.key)
    const principal = resolveOther(store.view(), token, settings)
    this.#remember(principal, changedAt)
    return principal
  }

  #remember(principal: Principal, heldAt: Revision): void {
    if (this.#known.size >= limits.knownPrincipals) {
      this.#known.delete(this.#known.keys().next().value!)
    }
    this.#known.set(principal.tokenKey, { principal, heldAt })
  }

  #holds(
    known: { readonly principal: Principal; heldAt: Revision },
    changedAt: Revision,
    view: Reader,
    now: WallMs,
  ): boolean {
    const { principal } = known
    if (known.heldAt === changedAt) return !principal.isOver(now)
    if (!principal.holdsIn(view, now)) return false
    known.heldAt = changedAt
    return true
  }

  watch(who: Who, changed: () => void): () => void {
    if (!(who instanceof Principal)) return () => {}
    const { store, clock, timeouts } = this.#options
    const watched = this.#watchedOf(who)
    const watch: Watch = { changed, of: watched }
    watched.watches.add(watch)
    // What changed since it was authenticated would not be told otherwise.
    if (!who.holdsIn(store.view(), wallMs(clock.wall()))) timeouts.after(0, () => this.#look(who))
    return () => {
      watch.of.watches.delete(watch)
      if (watch.of.watches.size === 0) this.#forget(watch.of)
    }
  }

  #watchedOf(principal: Principal): Watched {
    let watched = this.#watched.get(principal)
    if (watched === undefined) {
      watched = { principal, watches: new Set(), timeout: this.#timeoutOf(principal) }
      this.#watched.set(principal, watched)
      this.#follow()
      if (principal.elsewhere !== undefined) this.#followOthers()
    }
    return watched
  }

  note(lack: Lack): void {
    this.explanations.note(lack)
  }

  #forget(watched: Watched): void {
    watched.timeout?.cancel()
    if (this.#watched.get(watched.principal) === watched) this.#watched.delete(watched.principal)
    if (this.#watched.size > 0) return
    this.#waiter?.cancel()
    this.#waiter = undefined
    this.#othersWaiter?.cancel()
    this.#othersWaiter = undefined
    this.#othersTimeout?.cancel()
    this.#othersTimeout = undefined
  }

  #timeoutOf(principal: Principal): Timeout | undefined {
    const { clock, timeouts } = this.#options
    const { expiresAtMs = 0 } = principal.token ?? {}
    if (expiresAtMs === 0) return undefined
    const leftMs = Math.max(0, expiresAtMs - clock.wall())
    return timeouts.after(Math.min(leftMs, limits.timeoutMaxMs), () => this.#look(principal))
  }

  #follow(): void {
    this.#waiter ??= this.#options.store.scopes.wait({ scope: scope.acl }, () => {
      this.#waiter = undefined
      if (this.#watched.size > 0) this.#follow()
      void inSlices([...this.#watched.keys()], principal => this.#look(principal))
    })
  }

  /** Whoever waits with a token of the secrets: those change with all that the secrets write. */
  #followOthers(): void {
    const { store, timeouts, others } = this.#options
    const tokens = others?.()
    if (tokens === undefined) return
    if (!this.#hearsOthers) {
      this.#hearsOthers = true
      tokens.onChange(() => this.#lookAtOthers())
    }
    if (this.#othersTimeout !== undefined) return
    this.#othersWaiter ??= store.scopes.wait({ scope: tokens.scope }, () => {
      this.#othersWaiter = undefined
      this.#othersTimeout = timeouts.after(limits.otherTokensLookMs, () => {
        this.#othersTimeout = undefined
        this.#lookAtOthers()
      })
    })
  }

  #lookAtOthers(): void {
    const waiting = [...this.#watched.keys()].filter(one => one.elsewhere !== undefined)
    if (waiting.length === 0) return
    this.#followOthers()
    void inSlices(waiting, principal => this.#look(principal))
  }

  /** The principal as it is now. */
  #again({ tokenKey, elsewhere }: Principal): Principal | Refusal {
    if (elsewhere === undefined) return this.#principal(tokenKey)
    const { store, clock } = this.#options
    const token = elsewhere.token.again(store.view(), wallMs(clock.wall()))
    return token instanceof Refusal ? token : this.#principalOf(token)
  }

  /** Tells who waits with rights that are no more what they were. */
  #look(principal: Principal): void {
    const watched = this.#watched.get(principal)
    if (watched === undefined) return
    const now = this.#again(principal)
    if (now === principal) {
      // Its time was further off than a timeout can be.
      watched.timeout?.cancel()
      watched.timeout = this.#timeoutOf(principal)
      return
    }
    this.#forget(watched)
    if (now instanceof Principal && now.rights === principal.rights) {
      // The same rights by other rows: whoever waits does so in its name from now on.
      const renewed = this.#watchedOf(now)
      for (const watch of watched.watches) {
        watch.of = renewed
        renewed.watches.add(watch)
      }
      return
    }
    for (const { changed } of watched.watches) changed()
  }
}

const DOWN_ALLOW: Who = {
  accessor: '',
  rights: 'down allow',
  may: ({ resource }) => resource !== 'acl',
}
const DOWN_DENY: Who = { accessor: '', rights: 'down deny', may: () => false }
const NO_LEADER = new Refusal(500, 'No cluster leader')
