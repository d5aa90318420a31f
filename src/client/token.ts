/**
 * The token that calls are made with: given, or got by a login and kept alive.
 *
 * Owns renewals and new logins. A token is renewed at two thirds of its time; one that cannot be
 * renewed, or is refused, is replaced by a new login. Tokens and what they are got by reach neither
 * an error nor a log.
 */
import type { Clock, Random, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { identityApi, type WireAuth, type WireLogin } from './api.ts'
import { GatehouseError } from './errors.ts'
import type { Servers, Tokens } from './servers.ts'

/** How a token is got. Functions are asked at each login, for what changes on disk meanwhile. */
export type Login =
  | {
      readonly method: 'approle'
      readonly roleId: string
      readonly secretId?: string | (() => string | Promise<string>)
      /** Where it is mounted; `approle` unless given. */
      readonly mount?: string
    }
  | {
      readonly method: 'userpass'
      readonly username: string
      readonly password: string | (() => string | Promise<string>)
      /** Where it is mounted; `userpass` unless given. */
      readonly mount?: string
    }
  | {
      /** A JSON web token, for an auth method of the secrets. */
      readonly method: 'jwt'
      readonly role: string
      readonly jwt: string | (() => string | Promise<string>)
      /** Where it is mounted; `jwt` unless given. */
      readonly mount?: string
    }
  | {
      /** An auth method of the registry: the token is one for Consul's half. */
      readonly method: 'registry'
      readonly authMethod: string
      readonly bearerToken: string | (() => string | Promise<string>)
      readonly meta?: Readonly<Record<string, string>>
    }

/** A token that somebody gave; empty for none. */
export const givenToken = (token: string): Tokens => ({
  current: () => Promise.resolve(token),
  renew: () => Promise.resolve(false),
})

export interface LoginWorld {
  readonly clock: Clock
  readonly random: Random
  /** Calls by these show no token unless told otherwise. */
  readonly servers: (tokens: Tokens) => Servers
  readonly namespace: string
}

/** A token that comes from logins. */
export class LoginToken implements Tokens {
  readonly #login: Login
  readonly #world: LoginWorld
  readonly #servers: Servers
  #token = ''
  #goodUntilMs = 0
  #underWay: Promise<string> | undefined
  #timer: Timer | undefined

  constructor(login: Login, world: LoginWorld) {
    this.#login = login
    this.#world = world
    // Renewals show the token that they renew, and are not tried with another.
    this.#servers = world.servers({
      current: () => Promise.resolve(this.#token),
      renew: () => Promise.resolve(false),
    })
  }

  async current(): Promise<string> {
    const { clock } = this.#world
    if (this.#token !== '' && clock.monotonic() < this.#goodUntilMs) return this.#token
    return this.#newToken()
  }

  async renew(refused: string): Promise<boolean> {
    // Somebody else was refused earlier, and there is another one already.
    if (refused !== this.#token && this.#token !== '') return true
    this.#token = ''
    return this.#newToken().then(
      () => true,
      () => false,
    )
  }

  /** Ends the token that was got, if a server can be reached. */
  async end(): Promise<void> {
    this.#timer?.clear()
    if (this.#token === '') return
    const { namespace } = this.#world
    const options = { timeoutMs: limits.clientCloseMs, repeatable: true }
    if (this.#login.method !== 'registry') {
      await this.#servers.call(identityApi.revokeSelf, { namespace }, options).catch(() => {})
    }
    this.#token = ''
  }

  #newToken(): Promise<string> {
    this.#underWay ??= this.#logIn().finally(() => {
      this.#underWay = undefined
    })
    return this.#underWay
  }

  async #logIn(): Promise<string> {
    const askedMs = this.#world.clock.monotonic()
    const request = { ...(await wireLoginOf(this.#login)), namespace: this.#world.namespace }
    // Each login that is carried out twice leaves a token that nobody has: its TTL ends it.
    const options = { anonymous: true, repeatable: true }
    const { auth } = await this.#servers.call(identityApi.login, request, options)
    if (!auth) throw new GatehouseError('INTERNAL', 'the login gave no token')
    this.#take(auth, askedMs)
    return this.#token
  }

  #take(auth: WireAuth, askedMs: number): void {
    const { clock, random } = this.#world
    const lifeMs = auth.durationSeconds * 1_000
    if (auth.clientToken !== '') this.#token = auth.clientToken
    this.#timer?.clear()
    if (lifeMs === 0) {
      this.#goodUntilMs = Number.POSITIVE_INFINITY
      return
    }
    this.#goodUntilMs = askedMs + lifeMs
    const atMs = askedMs + lifeMs * (0.6 + 0.1 * random.fraction())
    this.#timer = clock.after(Math.max(0, atMs - clock.monotonic()), () => {
      this.#prolong(auth).catch(() => {})
    })
  }

  /** Renews the token; logs in anew where it cannot be, or where little is won by it. */
  async #prolong(auth: WireAuth): Promise<void> {
    const { clock, namespace } = this.#world
    const askedMs = clock.monotonic()
    const leftMs = this.#goodUntilMs - askedMs
    try {
      if (!auth.renewable) {
        await this.#newToken()
        return
      }
      const request = { incrementSeconds: 0, namespace }
      const options = { repeatable: true, timeoutMs: Math.min(leftMs, limits.clientCallMs) }
      const renewed = (await this.#servers.call(identityApi.renewSelf, request, options)).auth
      // At the end of its longest life each renewal gives less.
      if (!renewed || renewed.durationSeconds * 1_000 <= leftMs) await this.#newToken()
      else this.#take({ ...renewed, clientToken: '' }, askedMs)
    } catch {
      this.#again(auth, leftMs)
    }
  }

  /** Tries again while the token lives; after that whoever needs one logs in. */
  #again(auth: WireAuth, leftMs: number): void {
    const { clock } = this.#world
    if (this.#servers.closed.aborted || leftMs <= 0) return
    const delayMs = Math.max(limits.clientRetryMs, Math.min(leftMs / 4, limits.clientRenewRetryMs))
    this.#timer = clock.after(delayMs, () => {
      this.#prolong({ ...auth, renewable: false }).catch(() => {})
    })
  }
}

const textOf = async (text: string | (() => string | Promise<string>)): Promise<string> =>
  typeof text === 'string' ? text : text()

async function wireLoginOf(login: Login): Promise<Omit<WireLogin, 'namespace'>> {
  switch (login.method) {
    case 'approle': {
      const { mount = '', roleId, secretId = '' } = login
      return { approle: { mount, roleId, secretId: await textOf(secretId) } }
    }
    case 'userpass': {
      const { mount = '', username, password } = login
      return { userpass: { mount, username, password: await textOf(password) } }
    }
    case 'jwt': {
      const data = JSON.stringify({ role: login.role, jwt: await textOf(login.jwt) })
      return { path: { path: `auth/${login.mount ?? 'jwt'}/login`, data: Buffer.from(data) } }
    }
    case 'registry': {
      const { authMethod, meta = {} } = login
      return { registry: { authMethod, bearerToken: await textOf(login.bearerToken), meta } }
    }
  }
}
