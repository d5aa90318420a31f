/**
 * Identity as faces see it: one function per thing that can be asked or done.
 *
 * Owns joining the pure rules of this folder with the store, and the only places where secrets are
 * made and opened. A secret leaves by an answer that asks for it and by nothing else.
 */
import type { PublicIndex } from '../base/brand.ts'
import { type Bytes, fromText } from '../base/bytes.ts'
import type { Random } from '../base/clock.ts'
import { refuse } from '../base/denied.ts'
import { OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { ANONYMOUS_ACCESSOR, access, everybody, principalOf, type Who } from '../base/who.ts'
import { isRefusal, type RestoredRow, type Store, type Written } from '../store/store.ts'
import type { Cell, Table } from '../store/table.ts'
import {
  ACL_STATE,
  type AuthMethodRow,
  aclState,
  authMethods,
  type BindingRuleRow,
  bindingRules,
  keyProof,
  type PolicyRow,
  policies,
  type RoleRow,
  roles,
  type TokenRow,
  tokens,
} from '../store/tables/acl.ts'
import { fold } from '../store/tables/names.ts'
import type { DecideFor, Writer } from '../store/writer.ts'
import { decoyConfig } from './auth-method/decoy.ts'
import type { LoginIdentity } from './auth-method/identity.ts'
import { type JwtConfig, readJwtConfig } from './auth-method/jwt.ts'
import type { KeySource } from './auth-method/keys.run.ts'
import { SECRETS_TYPE } from './auth-method/secrets.ts'
import {
  type AuthMethodRequest,
  type Deletion,
  deleteAuthMethod,
  methodToWrite,
  putAuthMethod,
} from './auth-method.ts'
import { ANONYMOUS_SECRET, type TokenAuthority } from './authority.run.ts'
import {
  type BindingRuleRequest,
  createBindingRule,
  deleteBindingRule,
  updateBindingRule,
} from './binding-rule.ts'
import { bootstrap, initialise, initialManagement } from './bootstrap.ts'
import type { Explained } from './explain.ts'
import { CHANGED, type LoginRequest, login, type Proven, unknownMethod } from './login.ts'
import { createPolicy, deletePolicy, type PolicyRequest, updatePolicy } from './policy.ts'
import type { RegistryKey } from './registry-key.ts'
import { Principal } from './resolve.ts'
import { createRole, deleteRole, type RoleRequest, updateRole } from './role.ts'
import {
  cloneToken,
  createToken,
  deleteToken,
  idProblem,
  logout,
  type NewToken,
  placeOf,
  type SecretParts,
  type TokenRequest,
  updateToken,
} from './token.ts'

/** What an operator wrote on the server's disk, to bootstrap once more. */
export interface BootstrapReset {
  /** The index that stands there, undefined for none. */
  read(): Promise<number | undefined>
  /** It was used. */
  clear(): Promise<void>
}

/** How the proofs of logins are looked at. */
export interface ProofTools {
  /** The keys of issuers that live elsewhere. */
  readonly keys: Pick<KeySource, 'problemOf'>
  /** Who a proof says its bearer is; a refusal where it does not prove it. */
  readonly verify: (config: JwtConfig, bearer: string) => Promise<LoginIdentity | Refusal>
}

export interface IdentityOptions {
  readonly store: Store
  readonly writer: Writer
  readonly random: Random
  readonly key: RegistryKey
  readonly authority: TokenAuthority
  readonly reset: BootstrapReset
  readonly proofs: ProofTools
  readonly datacenter: string
  /** Why this server may give no token to who logs in, as a refusal; undefined where it may. */
  readonly refuseIssuing?: () => Refusal | undefined
}

/** A row that was written, as it is stored. */
export type Stored<R> = Pick<Cell<R>, 'row' | 'createIndex' | 'modifyIndex'>

const PROOF = 'this text was sealed with the registry key of this cluster'

export class Identity {
  readonly #options: IdentityOptions

  constructor(options: IdentityOptions) {
    this.#options = options
  }

  /**
   * Writes what every store with ACLs holds. Throws OperatingError when the rows were sealed with
   * another key than this server's: its tokens would be nobody's.
   */
  async initialise(initialSecret: string): Promise<void> {
    const { store, key, random } = this.#options
    await store.readIndex()
    const proof = store.view().get(keyProof, ACL_STATE)?.row.sealed
    if (proof !== undefined && key.open(proof, 'acl/key-proof') !== PROOF) {
      throw new OperatingError(OperatingCode.damaged, FOREIGN_KEY)
    }
    const given = {
      anonymous: this.#partsOf(ANONYMOUS_SECRET, ANONYMOUS_ACCESSOR),
      sealedProof: key.seal(PROOF, 'acl/key-proof'),
    }
    await this.#write(everybody, (view, _who, now) => initialise(view, given, now))
    if (initialSecret === '') return
    const accessor = random.uuid()
    const secret = this.#partsOf(initialSecret, accessor)
    await this.#write(everybody, (view, _who, now) =>
      initialManagement(view, { accessor, secret }, now),
    )
  }

  /** Whether nobody has made the first token yet. */
  awaitsBootstrap(): boolean {
    return this.#options.store.view().get(aclState, ACL_STATE) === undefined
  }

  /** Why a row of a snapshot must not be restored: it was sealed with another key than ours. */
  restoreProblem({ key, body }: Pick<RestoredRow, 'key' | 'body'>): string | undefined {
    if (key !== keyProof.prefix + ACL_STATE) return undefined
    const { sealed } = keyProof.codec.decode(body)
    return this.#options.key.open(sealed, 'acl/key-proof') === PROOF ? undefined : FOREIGN_SNAPSHOT
  }

  /** The first token, or another one for who shows the reset index. */
  async bootstrap(given: string): Promise<Stored<TokenRow> | Refusal> {
    const { reset } = this.#options
    const fresh = this.#fresh('', given)
    if (isRefusal(fresh)) return fresh
    const index = await reset.read()
    const made = await this.#stored(tokens, fresh.secret.key, everybody, (view, _who, now) =>
      bootstrap(view, fresh, index, now),
    )
    if (!isRefusal(made) && index !== undefined) await reset.clear()
    return made
  }

  /** `given`: the accessor and the secret that the client chose, '' for new ones. */
  async createToken(
    who: Who,
    request: TokenRequest,
    given: { readonly accessor: string; readonly secret: string },
  ): Promise<Stored<TokenRow> | Refusal> {
    const fresh = this.#fresh(given.accessor, given.secret)
    if (isRefusal(fresh)) return refuse(who, [access('write', 'acl')]) ?? fresh
    return this.#stored(tokens, fresh.secret.key, who, (view, by, now) =>
      createToken(view, by, fresh, request, now),
    )
  }

  async updateToken(
    who: Who,
    accessor: string,
    request: TokenRequest & { readonly secret: string; readonly authMethod: string },
  ): Promise<Stored<TokenRow> | Refusal> {
    const { secret, ...rest } = request
    const secretKey = secret === '' ? undefined : this.#options.key.hashOf(secret)
    return this.#byAccessor(who, (view, by) =>
      updateToken(view, by, accessor, { ...rest, secretKey }),
    )
  }

  async cloneToken(
    who: Who,
    accessor: string,
    description: string,
  ): Promise<Stored<TokenRow> | Refusal> {
    const fresh = this.#fresh('', '') as NewToken
    return this.#stored(tokens, fresh.secret.key, who, (view, by, now) =>
      cloneToken(view, by, accessor, fresh, description, now),
    )
  }

  deleteToken(who: Who, accessor: string): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => deleteToken(view, by, accessor))
  }

  /** Ends the token of whoever asks; only one that a login gave. */
  async logout(who: Who): Promise<true | Refusal> {
    const principal = principalOf(who)
    if (!(principal instanceof Principal)) return new Refusal(401, 'Supplied token does not exist')
    return this.#write(who, view => logout(view, principal.tokenKey))
  }

  createPolicy(who: Who, request: PolicyRequest): Promise<Stored<PolicyRow> | Refusal> {
    const id = this.#options.random.uuid()
    return this.#stored(policies, id, who, (view, by) => createPolicy(view, by, id, request))
  }

  updatePolicy(who: Who, id: string, request: PolicyRequest): Promise<Stored<PolicyRow> | Refusal> {
    return this.#stored(policies, id, who, (view, by) => updatePolicy(view, by, id, request))
  }

  deletePolicy(who: Who, id: string): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => deletePolicy(view, by, id))
  }

  createRole(who: Who, request: RoleRequest): Promise<Stored<RoleRow> | Refusal> {
    const id = this.#options.random.uuid()
    return this.#stored(roles, id, who, (view, by) => createRole(view, by, id, request))
  }

  updateRole(who: Who, id: string, request: RoleRequest): Promise<Stored<RoleRow> | Refusal> {
    return this.#stored(roles, id, who, (view, by) => updateRole(view, by, id, request))
  }

  deleteRole(who: Who, id: string): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => deleteRole(view, by, id))
  }

  /** Writes an auth method, when its issuer could be reached. */
  async putAuthMethod(
    who: Who,
    request: AuthMethodRequest,
  ): Promise<Stored<AuthMethodRow> | Refusal> {
    // Only who may write one makes this server connect to where it says.
    const refusal = refuse(who, [access('write', 'acl')])
    if (refusal !== undefined) return refusal
    const read = methodToWrite(this.#options.store.view(), request)
    if (isRefusal(read)) return read
    const place = read.config.type === 'jwt' ? read.config.jwt.place : undefined
    if (place !== undefined && place.kind !== 'here') {
      const problem = await this.#options.proofs.keys.problemOf(place)
      if (problem !== undefined) return new Refusal(500, `Invalid Auth Method: ${problem}`)
    }
    return this.#stored(authMethods, fold(request.name), who, (view, by) =>
      putAuthMethod(view, by, request),
    )
  }

  /** Deletes an auth method with its binding rules and tokens; whether it was there. */
  async deleteAuthMethod(who: Who, name: string): Promise<boolean | Refusal> {
    for (let wasThere = false; ; wasThere = true) {
      const step = await this.#write<Deletion>(who, (view, by) => deleteAuthMethod(view, by, name))
      if (isRefusal(step)) return step
      if (step !== 'more') return wasThere || step === 'done'
    }
  }

  createBindingRule(
    who: Who,
    request: BindingRuleRequest,
  ): Promise<Stored<BindingRuleRow> | Refusal> {
    const id = this.#options.random.uuid()
    return this.#stored(bindingRules, id, who, (view, by) =>
      createBindingRule(view, by, id, request),
    )
  }

  updateBindingRule(
    who: Who,
    id: string,
    request: BindingRuleRequest,
  ): Promise<Stored<BindingRuleRow> | Refusal> {
    return this.#stored(bindingRules, fromText(id), who, (view, by) =>
      updateBindingRule(view, by, id, request),
    )
  }

  deleteBindingRule(who: Who, id: string): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => deleteBindingRule(view, by, id))
  }

  /**
   * A token for whoever proves who he is. `who`: as whom he asks, which gives him nothing. The
   * proof is looked at before the write that stands on its auth method, and again where that
   * changed meanwhile.
   */
  async login(
    who: Who,
    request: Omit<LoginRequest, 'datacenter'>,
    bearer: string,
  ): Promise<Stored<TokenRow> | Refusal> {
    const { datacenter, store, writer, refuseIssuing } = this.#options
    const refusal = refuseIssuing?.()
    if (refusal !== undefined) return refusal
    const fresh = this.#fresh('', '') as NewToken
    for (let tries = 0; tries < limits.loginTries; tries++) {
      await store.readIndex()
      const proven = await this.#prove(request.authMethod, bearer)
      if (isRefusal(proven)) return proven
      const written = await writer.write(who, (view, by, now) =>
        login(view, by, { ...request, datacenter }, proven, fresh, now),
      )
      if (isRefusal(written)) return written
      const { answer } = written
      if (answer !== CHANGED) {
        return this.#asStored(tokens, fresh.secret.key, { ...written, answer })
      }
    }
    throw new OperatingError(OperatingCode.busy, 'the auth method changes too often')
  }

  /** Who a proof says its bearer is. For a method that is not there the work is the same. */
  async #prove(name: string, bearer: string): Promise<Proven | Refusal> {
    const { store, proofs } = this.#options
    const method = store.view().get(authMethods, fold(name))?.row
    if (method?.type === SECRETS_TYPE) return NO_LOGIN
    const config = method === undefined ? decoyConfig : readJwtConfig(method.config)
    // Written by a version that takes more.
    if (typeof config === 'string') return new Refusal(500, `Invalid Auth Method: ${config}`)
    const identity = await proofs.verify(config, bearer)
    if (method === undefined) return unknownMethod(name)
    return isRefusal(identity) ? identity : { method, identity }
  }

  /** The secret of a token. Only for an answer that may show it. */
  secretOf({ accessor, sealedSecret }: TokenRow): string {
    const secret = this.#options.key.open(sealedSecret, placeOf(accessor))
    if (secret !== undefined) return secret
    throw new OperatingError(OperatingCode.damaged, `the secret of token ${accessor} is damaged`)
  }

  /** Why a request was refused; for those who may see how the cluster is run. */
  explain(who: Who, requestId: string): Explained | undefined | Refusal {
    const refusal = refuse(who, [access('read', 'operator')])
    return refusal ?? this.#options.authority.explanations.explain(requestId)
  }

  /** A secret for a new token, made or checked, as rows know it. */
  #fresh(accessor: string, secret: string): NewToken | Refusal {
    const { random } = this.#options
    const problem =
      (accessor === '' ? undefined : idProblem(accessor, 'AccessorID')) ??
      (secret === '' ? undefined : idProblem(secret, 'SecretID'))
    if (problem !== undefined) return problem
    const chosen = accessor === '' ? random.uuid() : accessor
    const parts = this.#partsOf(secret === '' ? random.uuid() : secret, chosen)
    return { accessor: chosen, secret: parts, authMethod: '', metadata: {} }
  }

  #partsOf(secret: string, accessor: string): SecretParts {
    const { key } = this.#options
    return { key: key.hashOf(secret), sealed: key.seal(secret, placeOf(accessor)) }
  }

  async #write<A>(who: Who, decide: DecideFor<A>): Promise<A | Refusal> {
    const written = await this.#options.writer.write(who, decide)
    return isRefusal(written) ? written : written.answer
  }

  /** Writes a row; gives it with its indexes. */
  async #stored<R>(
    table: Table<R>,
    key: Bytes,
    who: Who,
    decide: DecideFor<R>,
  ): Promise<Stored<R> | Refusal> {
    const written = await this.#options.writer.write(who, decide)
    return isRefusal(written) ? written : this.#asStored(table, key, written)
  }

  async #byAccessor(who: Who, decide: DecideFor<TokenRow>): Promise<Stored<TokenRow> | Refusal> {
    const written = await this.#options.writer.write(who, decide)
    if (isRefusal(written)) return written
    const { accessor } = written.answer
    const [cell] = this.#options.store.view().find(tokens, 'accessor', accessor, 1)
    return this.#asStored(tokens, cell?.key ?? '', written)
  }

  #asStored<R>(table: Table<R>, key: Bytes, written: Written<R>): Stored<R> {
    const cell = this.#options.store.view().get(table, key)
    const createIndex: PublicIndex = cell?.createIndex ?? written.index
    // What was written over meanwhile is told as it was written here.
    return { row: written.answer, createIndex, modifyIndex: cell?.modifyIndex ?? written.index }
  }
}

const NO_LOGIN = new Refusal(
  400,
  `auth methods of type "${SECRETS_TYPE}" give no tokens: show that of the secrets itself`,
)

const FOREIGN_SNAPSHOT =
  'the snapshot was sealed with another registry key, and nobody would have a token: restore it on ' +
  'a server that was started with that key in the file registry.key of its data folder'

const FOREIGN_KEY =
  'the rows of this store were sealed with another registry key: put that key back into the ' +
  'file registry.key of the data folder (it is not part of a snapshot)'
