/**
 * Asking services for the second factors of a login: before the transaction that decides on it.
 *
 * Owns which of them are asked, each once, and that no login asks twice at a time; how long a
 * service has is its talk's own business. None is asked as long as a passcode beside it is not
 * right, or somebody was asked in vain too often: nobody's phone rings for that.
 */
import type { RequestFacts } from '../declare.ts'
import { identityOf } from '../identity/context.ts'
import type { Draft } from '../storage.ts'
import { mayAsk } from './attempt.ts'
import { passcodeIn } from './credentials.ts'
import type { FactorAsks, FactorContext, FactorOutcome } from './factor/factor.ts'
import { judge, type Shown, shownFor, type Told } from './judge.ts'
import type { MethodRow } from './method.ts'
import { usernameFor } from './username.ts'

/** What was said of methods, by id; what nobody was asked about is not there. */
export type Said = ReadonlyMap<string, FactorOutcome>

/** A login that is to be looked at. */
export interface Asking extends Shown {
  /** Stands for it: it is asked for once at a time. */
  readonly key: string
  readonly aliasName: string
  readonly request: Pick<RequestFacts, 'remote' | 'signal'>
}

const passed: FactorOutcome = { passed: true }
const failed = (reason: string): FactorOutcome => ({ passed: false, reason })
const ALREADY = failed('this login waits for its second factor already')
const TOO_OFTEN = failed('the service was asked in vain too often: try again in five minutes')
const NO_NAME = failed('username_format gives no name for this entity')
const UNASKED = failed('the service was not asked')

/** What services said, as a judge asks for it. */
export const toldBy =
  (said: Said): Told =>
  method =>
    said.get(method.id) ?? UNASKED

const NOTHING: Said = new Map()

/** Where nobody tells that a client has gone. */
const NEVER = new AbortController().signal

export class FactorAsker {
  readonly #asks: FactorAsks
  /** Keys of the logins that are asked for now. */
  readonly #under = new Set<string>()

  constructor(asks: FactorAsks) {
    this.#asks = asks
  }

  /** Asks the services that a login shows something for; the draft is for reading alone. */
  ask(draft: Draft, asking: Asking): Promise<Said> | Said {
    const wanted = toAsk(draft, asking)
    if (wanted.length === 0 || !judge(draft, asking, () => passed).passed) return NOTHING
    return this.#under.has(asking.key)
      ? new Map(wanted.map(({ method }) => [method.id, ALREADY]))
      : this.#askAll(draft, wanted, asking)
  }

  async #askAll(draft: Draft, wanted: readonly Wanted[], asking: Asking): Promise<Said> {
    const { at, key, request } = asking
    const context = { remoteAddress: request.remote, signal: request.signal ?? NEVER }
    this.#under.add(key)
    try {
      const said = await Promise.all(
        wanted.map(one =>
          mayAsk(draft, at, one.method.id) ? this.#askOne(one, context) : TOO_OFTEN,
        ),
      )
      return new Map(said.map((outcome, i) => [wanted[i]!.method.id, outcome]))
    } finally {
      this.#under.delete(key)
    }
  }

  async #askOne(
    { method, username, passcode }: Wanted,
    context: FactorContext,
  ): Promise<FactorOutcome> {
    if (username === undefined) return NO_NAME
    switch (method.type) {
      case 'duo':
        return this.#asks.duo(method.config, username, passcode, context)
      case 'okta':
        return this.#asks.okta(method.config, username, passcode, context)
      case 'pingid':
        return this.#asks.pingid(method.config, username, passcode, context)
      case 'totp':
        return UNASKED
    }
  }
}

/** A service to be asked. */
interface Wanted {
  readonly method: MethodRow
  /** Undefined where the method has no name for who logs in. */
  readonly username: string | undefined
  readonly passcode: string | undefined
}

function toAsk(draft: Draft, { at, demands, credentials, aliasName }: Asking): readonly Wanted[] {
  const methods = new Map(demands.flatMap(one => one.methods).map(one => [one.id, one]))
  return [...methods.values()].flatMap(method => {
    const texts = method.type === 'totp' ? undefined : shownFor(draft, credentials, method)
    const given = texts && passcodeIn(texts)
    if (given === undefined || 'wrong' in given) return []
    const identity = identityOf(draft, at.namespaceId, at.entityId)
    const { usernameFormat } = method
    const username = identity && usernameFor(usernameFormat, identity.facts, aliasName)
    return [{ method, username, passcode: given.passcode }]
  })
}
