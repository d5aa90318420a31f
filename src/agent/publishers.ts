/**
 * Whom the agent writes to the catalog for: whoever left a token with a definition, else one of the
 * agent's own tokens.
 *
 * Owns that choice, how tokens of definitions are kept, and the log's lines about definitions that
 * are held back since a right is lacking or a token is gone. Tells no secret. What is held back is
 * tried again whenever the agent looks over its entries.
 */
import { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Sealer } from '../base/sealer.ts'
import { everybody, type Who } from '../base/who.ts'
import type { Entry } from '../registry/local.ts'
import { isRefusal } from '../store/store.ts'
import { localChecks, localServices } from '../store/tables/local.ts'
import { onNode } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'

/** The agent's own tokens, by the names that `acl.tokens` and `/v1/agent/token/` have. */
export type TokenKind = 'agent' | 'config_file_service_registration' | 'default' | 'dns'

export interface AgentTokens {
  /**
   * Whom one of the agent's tokens stands for. Where it is not set, the default one counts, and
   * where that is not set either, nobody's: the anonymous one. A refusal where it is no more.
   */
  whoOf(kind: TokenKind): Who | Refusal
  /** Whom any other token stands for; a refusal where nobody has it. */
  authenticate(token: string): Who | Refusal
}

/** The tokens of an agent whose ACLs are off. */
export const openTokens: AgentTokens = {
  whoOf: () => everybody,
  authenticate: () => everybody,
}

export interface PublisherPorts {
  readonly tokens: AgentTokens
  readonly sealer: Sealer
  readonly log: Log
}

/** A token that is shown for an entry. */
export type ShownToken =
  /** A secret. */
  { readonly token: string } | { readonly kind: TokenKind }

const kindOf = (fromFile: boolean): TokenKind =>
  fromFile ? 'config_file_service_registration' : 'default'

const GONE = new Refusal(403, 'ACL not found')

export class Publishers {
  readonly #node: string
  readonly #ports: PublisherPorts
  /** Why entries are held back, by their words in the log. */
  readonly #heldBack = new Map<string, string>()

  constructor(node: string, ports: PublisherPorts) {
    this.#node = node
    this.#ports = ports
  }

  /**
   * A token as it is kept. Where the one that is `kept` is the same, that stays as it is: a
   * registration that changes nothing writes nothing.
   */
  sealed(token: string, kept: string | undefined): string {
    const { sealer } = this.#ports
    if (token === '') return ''
    const isSame = kept !== undefined && kept !== '' && sealer.open(kept) === token
    return isSame ? kept : sealer.seal(token)
  }

  /** Whom a definition is published for, by its token as it was given. */
  ofToken(token: string, fromFile: boolean): Who | Refusal {
    const { tokens } = this.#ports
    if (token !== '') return tokens.authenticate(token)
    return tokens.whoOf(kindOf(fromFile))
  }

  /** Whom an entry of the agent's node is written for. */
  of(view: Reader, entry: Entry): Who | Refusal {
    const shown = this.shownFor(view, entry)
    const { tokens } = this.#ports
    if (isRefusal(shown)) return shown
    return 'token' in shown ? tokens.authenticate(shown.token) : tokens.whoOf(shown.kind)
  }

  /** The token that an entry is written with: one of its own, else one of the agent's. */
  shownFor(view: Reader, entry: Entry): ShownToken | Refusal {
    if ('service' in entry) return this.#ofService(view, entry.service)
    if ('check' in entry) return this.#ofCheck(view, entry.check)
    // What the agent removes may be anybody's, whose token may be gone: the agent's own counts.
    return { kind: 'agent' }
  }

  #ofService(view: Reader, id: string): ShownToken | Refusal {
    const row = view.get(localServices, onNode(this.#node, id))?.row
    return this.#ofKept(row?.token ?? '', row?.fromFile ?? false)
  }

  /** A check without a token of its own has its service's. */
  #ofCheck(view: Reader, id: string): ShownToken | Refusal {
    const row = view.get(localChecks, onNode(this.#node, id))?.row
    if (row === undefined || row.token !== '' || row.check.serviceId === '') {
      return this.#ofKept(row?.token ?? '', row?.fromFile ?? false)
    }
    return this.#ofService(view, row.check.serviceId)
  }

  #ofKept(kept: string, fromFile: boolean): ShownToken | Refusal {
    if (kept === '') return { kind: kindOf(fromFile) }
    const token = this.#ports.sealer.open(kept)
    return token === '' ? GONE : { token }
  }

  /** An entry stays as it is in the catalog. Told once, and again when the reason is another. */
  heldBack(entry: Entry, { text }: { readonly text: string }): void {
    const words = JSON.stringify(entry)
    if (this.#heldBack.get(words) === text) return
    this.#heldBack.set(words, text)
    this.#ports.log.warn('an entry of this agent is held back by ACLs', { ...entry, reason: text })
  }

  /** Whether any entry is held back. */
  get holdsBack(): boolean {
    return this.#heldBack.size > 0
  }

  /** Whether an entry is held back. */
  isHeldBack(entry: Entry): boolean {
    return this.#heldBack.size > 0 && this.#heldBack.has(JSON.stringify(entry))
  }

  /** An entry is as it should be, or nobody's any more. */
  settled(entry: Entry): void {
    if (this.#heldBack.size > 0) this.#heldBack.delete(JSON.stringify(entry))
  }
}

/** Whether a refusal is one of rights: then a definition is held back, and is not wrong. */
export const isLack = (given: unknown): given is Refusal =>
  isRefusal(given) && given.status === LACKING_STATUS

const LACKING_STATUS = 403
