/**
 * The token that a watcher asks with: of the environment, of a file, or of a login by AppRole, and
 * renewed while it may be.
 *
 * Owns when something has to be done about it. A token that is refused is forgotten: the file is
 * read again, or the login is made again. Neither token nor secret id is ever printed.
 */
import { readFile } from 'node:fs/promises'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { ClientError } from '../exchange.ts'
import type { SecretsClient } from '../secrets/client.ts'
import { barePath } from '../secrets/paths.ts'
import { type Data, valueIn } from '../secrets/secret.ts'

/** Where the token comes from; the environment's where neither is given. */
export interface CredentialSource {
  /** Read whenever a token is needed. */
  readonly tokenFile?: string | undefined
  readonly appRole?: {
    readonly mount: string
    readonly roleId: string
    /** undefined for roles that ask for none. */
    readonly secretIdFile: string | undefined
  }
}

/** A token is renewed after this share of its life. */
const RENEWED_AT = 2 / 3

/** The token of one watcher. */
export class Credential {
  readonly #client: SecretsClient
  readonly #source: CredentialSource
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #ownToken: string | undefined
  #isKnown = false
  #isRenewable = false
  #dueMs = Number.POSITIVE_INFINITY

  constructor(client: SecretsClient, source: CredentialSource, clock: Pick<Clock, 'monotonic'>) {
    this.#client = client
    this.#source = source
    this.#clock = clock
    this.#ownToken = client.token
  }

  /** How long until something has to be done about it; a login is made when it is needed. */
  get dueInMs(): number {
    if (this.#source.appRole !== undefined) return Number.POSITIVE_INFINITY
    return this.#isKnown ? Math.max(0, this.#dueMs - this.#clock.monotonic()) : 0
  }

  /** Has a token that is good, or throws. */
  async ready(): Promise<void> {
    if (!this.#isKnown) await this.#obtain()
    else if (this.#clock.monotonic() >= this.#dueMs) await this.#renew()
  }

  /** The server does not take it any more. */
  forget(): void {
    this.#isKnown = false
  }

  async #obtain(): Promise<void> {
    const { tokenFile, appRole } = this.#source
    if (appRole !== undefined) {
      await this.#login(appRole)
      return
    }
    const token = tokenFile === undefined ? this.#ownToken : await contentOf(tokenFile)
    if (token === undefined || token === '') throw new Error('there is no token to ask with')
    this.#client.token = token
    const found = await this.#lookedUp()
    this.#learn(Number(valueIn(found, 'ttl') ?? 0), valueIn(found, 'renewable') === true)
  }

  /** Nothing where it may not ask: whether it is any good, what it is for will tell. */
  async #lookedUp(): Promise<Data> {
    try {
      return (await this.#client.read('auth/token/lookup-self'))?.data ?? {}
    } catch (error) {
      if (error instanceof ClientError && error.status === 403) return {}
      throw error
    }
  }

  async #login({ mount, roleId, secretIdFile }: NonNullable<CredentialSource['appRole']>) {
    const body: Data = {
      role_id: roleId,
      ...(secretIdFile === undefined ? {} : { secret_id: await contentOf(secretIdFile) }),
    }
    this.#client.token = undefined
    const auth = (await this.#client.write(`auth/${barePath(mount)}/login`, body))?.auth
    if (auth === undefined) throw new Error('the login gave no token')
    if (auth.mfa_requirement) throw new Error('the login asks for a second factor')
    this.#client.token = auth.client_token
    this.#learn(auth.lease_duration, auth.renewable)
  }

  /** Where it cannot be renewed, whatever the reason, another one is the answer. */
  async #renew(): Promise<void> {
    if (this.#isRenewable) {
      const auth = await this.#client.write('auth/token/renew-self', {}).then(
        answer => answer?.auth,
        () => undefined,
      )
      if (auth !== undefined) return this.#learn(auth.lease_duration, auth.renewable)
    }
    await this.#obtain()
  }

  #learn(ttlS: number, isRenewable: boolean): void {
    this.#isKnown = true
    this.#isRenewable = isRenewable
    // A token without an end needs nothing; one that nobody can replace or renew is used to its
    // end.
    const { tokenFile, appRole } = this.#source
    const canDo = isRenewable || tokenFile !== undefined || appRole !== undefined
    const dueMs = this.#clock.monotonic() + ttlS * 1_000 * RENEWED_AT
    this.#dueMs = ttlS > 0 && canDo ? dueMs : Number.POSITIVE_INFINITY
  }
}

async function contentOf(file: string): Promise<string> {
  try {
    return (await readFile(file)).toString('utf8').trim()
  } catch (error) {
    throw new Error(`cannot read ${file}: ${messageOf(error)}`)
  }
}
