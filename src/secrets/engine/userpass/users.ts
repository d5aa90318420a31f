/**
 * Users of userpass, and their logins: the rules.
 *
 * Owns what a user is, what is wrong about one, and whom a login recognises. A name that nobody
 * has and a wrong password are told in the same words, and counted alike. Pure. Follows
 * api-docs/auth/userpass of Vault's docs.
 */

import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { bcryptProblem } from '../../../base/password-hash.ts'
import { type Answer, type Call, NOTHING, type Outcome } from '../../declare.ts'
import { int, str } from '../../field.ts'
import { countFailure, forgetFailures, isLocked, LOCKED, lockoutOf } from '../../lockout/lockout.ts'
import { type MountRow, storageOf } from '../../mount/mount.ts'
import { UNSUPPORTED_PATH } from '../../refusals.ts'
import * as shape from '../../shape.ts'
import type { Draft, Storage } from '../../storage.ts'
import { loginAnswer } from '../../token/login.ts'
import {
  NO_PARAMS,
  readTokenParams,
  showTokenParams,
  type TokenParams,
  tokenFields,
  tokenParamShapes,
} from '../../token/params.ts'
import { withDefault } from '../../token/policies.ts'
import type { TokenRow } from '../../token/token.ts'
import type { LoginPorts } from './ports.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

interface UserRow {
  /** Of argon2id, or of bcrypt where it was brought from elsewhere; never shown. */
  readonly passwordHash: string
  readonly token: TokenParams
}

const USERS = 'users/'
const NAME = /^\w([\w.@+-]*\w)?$/

/** The name of a user in its one spelling; undefined where it can be none. */
const userNameOf = (text: string | undefined): string | undefined =>
  text !== undefined && text.length <= limits.entityNameChars && NAME.test(text)
    ? text.toLowerCase()
    : undefined

/** The user of a name in any spelling. The row must not be changed. */
export function userAt(storage: Storage, text: string | undefined): UserRow | undefined {
  const name = userNameOf(text)
  return name === undefined ? undefined : storage.kept<UserRow>(USERS + name)
}

const NO_USER = bad('username does not exist')

const username = str('The name of the user; one in any spelling is the same.')
export const passwordFields = {
  username,
  password: str('The password.', { isSecret: true }),
  password_hash: str('Its bcrypt hash, as it is or in base64, in its place.', { isSecret: true }),
}
export const userFields = { ...tokenFields, ...passwordFields }

/** The refusal of what a request says of a password; undefined where it is fit, or none is said. */
export function refusePassword({
  password = '',
  password_hash = '',
}: {
  readonly password: string | undefined
  readonly password_hash: string | undefined
}): Refusal | undefined {
  if (password !== '' && password_hash !== '') {
    return bad('only one of password or password_hash may be provided')
  }
  const problem = password_hash === '' ? undefined : bcryptProblem(bcryptOf(password_hash))
  if (problem !== undefined) return bad(`invalid password_hash: ${problem}`)
  return password.length > limits.passwordChars
    ? bad(`password is longer than ${limits.passwordChars} characters`)
    : undefined
}

/** A hash of bcrypt, that may have been said in base64. */
export const bcryptOf = (text: string): string =>
  text.startsWith('$') ? text : Buffer.from(text, 'base64').toString('latin1')

export const userShape = shape.object(tokenParamShapes)

/** What is told of a user: nothing of his password. */
export function read({ storage, fields }: Call<typeof userFields>): Outcome {
  const user = userAt(storage, fields.username)
  return user === undefined ? NOTHING : { data: showTokenParams(user.token) }
}

/** Ends a user. */
export function remove({ storage, draft, mount, fields }: Call<typeof userFields>): Answer {
  const name = userNameOf(fields.username)
  if (name === undefined || !storage.has(USERS + name)) return NOTHING
  storage.delete(USERS + name)
  forgetFailures(draft, mount, name)
  return NOTHING
}

/** Makes or changes a user. */
export function write(call: Call<typeof userFields, string>): Outcome {
  const { storage, fields, prepared: passwordHash } = call
  const name = userNameOf(fields.username)
  if (name === undefined) return UNSUPPORTED_PATH
  const before = userAt(storage, name)
  const refused = refusePassword(fields)
  if (refused !== undefined) return refused
  if (before === undefined && passwordHash === '') return bad('missing password')
  const token = readTokenParams(call, before?.token ?? NO_PARAMS)
  if (token instanceof Refusal) return token
  const user: UserRow = { passwordHash: passwordHash || before!.passwordHash, token }
  storage.put(USERS + name, user)
  return NOTHING
}

/** Changes a user's password. */
export function writePassword(call: Call<typeof passwordFields, string>): Outcome {
  const { storage, fields, prepared: passwordHash } = call
  const before = userAt(storage, fields.username)
  if (before === undefined) return NO_USER
  const refused = refusePassword(fields)
  if (refused !== undefined) return refused
  if (passwordHash === '') return bad('must provide either password or password_hash')
  const user: UserRow = { ...before, passwordHash }
  storage.put(USERS + userNameOf(fields.username)!, user)
  return NOTHING
}

export const policyFields = {
  username,
  token_policies: tokenFields.token_policies,
  policies: tokenFields.policies,
}

/** Changes the policies of a user's tokens. */
export function writePolicies(call: Call<typeof policyFields>): Outcome {
  const { storage, fields } = call
  const before = userAt(storage, fields.username)
  if (before === undefined) return NO_USER
  const token = readTokenParams(call as never, before.token)
  if (token instanceof Refusal) return token
  const user: UserRow = { ...before, token }
  storage.put(USERS + userNameOf(fields.username)!, user)
  return NOTHING
}

export const pageFields = {
  after: str('List only what stands behind this name.'),
  limit: int('List at most so many; 0 for all.'),
}

/** The names of users. */
export function list({
  storage,
  fields: { after = '', limit = 0 },
}: Call<typeof pageFields>): Answer {
  const keys = storage.list(USERS, { after, limit })
  return keys.length === 0 ? NOTHING : { data: { keys } }
}

export const loginFields = { username, password: passwordFields.password }

/** What was looked at before the transaction: a hash, and whether the password has it. */
export interface Looked {
  readonly hash: string
  readonly isRight: boolean
}

/** The same words for a name that nobody has and for a wrong password; an answer: it is counted. */
const INVALID: Answer = { status: 400, errors: ['invalid username or password'] }

/** Logs a user in, by what was looked at before; counts it where he does not get in. */
export function login(
  call: Call<typeof loginFields, Looked>,
  { lockout: settings }: LoginPorts,
): Outcome {
  const { storage, draft, mount, fields, prepared: looked } = call
  const name = userNameOf(fields.username)
  if (name === undefined) return UNSUPPORTED_PATH
  const lockout = lockoutOf(settings, mount)
  if (isLocked(draft, mount, name, lockout)) return LOCKED
  const user = userAt(storage, name)
  // A password that was changed since it was looked at is looked at no more: it is not right.
  if (user === undefined || !looked.isRight || user.passwordHash !== looked.hash) {
    countFailure(draft, mount, name, lockout)
    return INVALID
  }
  return loginAnswer(call, {
    alias: { name, metadata: { username: name } },
    displayName: name,
    metadata: { username: name },
    params: user.token,
    internal: { username: name },
    lockoutName: name,
  })
}

/** How a token of a login lives on: the user is there, with the policies that he had. */
export function renew(draft: Draft, mount: MountRow, token: TokenRow): TokenParams | Refusal {
  const user = userAt(storageOf(draft, mount), token.internal.username)
  if (user === undefined) return bad('user does not exist, not renewing')
  const policies = withDefault(user.token.policies, !user.token.noDefaultPolicy)
  return policies.join() === token.policies.join()
    ? user.token
    : bad('policies have changed, not renewing')
}
