/**
 * The rules of auth methods: put, delete, and their reads.
 *
 * Owns what may change of one, and that what it gave ends with it: its binding rules and tokens.
 * What its fields may say is auth-method/'s. Semantics and texts follow Consul's API
 * (/v1/acl/auth-method). Pure: whether an issuer can be reached is looked at before.
 */
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import { type Decision, del, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type AuthMethodRow, authMethods, bindingRules, tokens } from '../store/tables/acl.ts'
import { fold, scope } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { type MethodConfig, readAuthMethod } from './auth-method/method.ts'
import { endOfToken } from './token.ts'

/** An auth method as clients write it. */
export interface AuthMethodRequest {
  readonly name: string
  /** '' for that of the method that is there. */
  readonly type: string
  readonly displayName: string
  readonly description: string
  readonly maxTokenTtlMs: number
  readonly tokenLocality: string
  readonly config: Readonly<Record<string, unknown>>
}

/** A method that may be written, and what its configuration says. */
export interface ReadMethod {
  readonly row: AuthMethodRow
  readonly config: MethodConfig
}

const TTL = { minMs: limits.aclTokenTtlMinMs, maxMs: limits.authMethodTtlMaxMs }

/** What would be written for a request; the refusal of one that may not be, whoever asks. */
export function methodToWrite(view: Reader, request: AuthMethodRequest): ReadMethod | Refusal {
  const existing = view.get(authMethods, fold(request.name))?.row
  const type = request.type === '' ? (existing?.type ?? '') : request.type
  const config = readAuthMethod({ ...request, type }, TTL)
  if (config instanceof Refusal) return config
  if (existing !== undefined && existing.type !== type) {
    return new Refusal(500, 'the Type field of an Auth Method is immutable')
  }
  const { tokenLocality, ...rest } = request
  const texts = [request.displayName, request.description]
  if (texts.some(text => text.length > limits.aclDescriptionChars)) {
    return new Refusal(500, 'Invalid Auth Method: the DisplayName or Description is too long')
  }
  const row = { ...rest, type, locality: tokenLocality as AuthMethodRow['locality'] }
  return { row, config }
}

/** Writes a method in the place of the one with its name; the answer is the row. */
export function putAuthMethod(
  view: Reader,
  who: Who,
  request: AuthMethodRequest,
): Decision<AuthMethodRow> | Refusal {
  const read = refuse(who, [access('write', 'acl')]) ?? methodToWrite(view, request)
  if (read instanceof Refusal) return read
  return { txn: [put(authMethods, fold(request.name), read.row)], answer: read.row }
}

/** What came of one step of a deletion; after `more` there is another. */
export type Deletion = 'none' | 'more' | 'done'

/**
 * Deletes a method with its binding rules and tokens. There may be more tokens than fit into a
 * transaction: the rules go first, so that no login adds to them, and the method last.
 */
export function deleteAuthMethod(
  view: Reader,
  who: Who,
  name: string,
): Decision<Deletion> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  const key = fold(name)
  if (view.get(authMethods, key) === undefined) return { txn: [], answer: 'none' }
  const rules = view.find(bindingRules, 'method', key).map(rule => del(bindingRules, rule.key))
  const given = view.find(tokens, 'method', key, limits.tokensEndedAtOnce + 1)
  if (given.length <= limits.tokensEndedAtOnce) {
    const ended = given.flatMap(token => endOfToken(view, token.key))
    return { txn: [...rules, ...ended, del(authMethods, key)], answer: 'done' }
  }
  // Whoever asks may have his own token by it: that ends with the last of them.
  const others = given.filter(({ row }) => row.accessor !== who.accessor)
  const ended = others
    .slice(0, limits.tokensEndedAtOnce)
    .flatMap(token => endOfToken(view, token.key))
  return { txn: [...rules, ...ended], answer: 'more' }
}

// --- reads

/** All auth methods, by name. */
export function allAuthMethods(who: Who): Question<Iterable<Cell<AuthMethodRow>>> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: 'acl-auth-methods',
      target: { scope: scope.aclMethods },
      newest: view => view.newest(authMethods),
      read: view => view.entries(authMethods),
    }
  )
}

/** The auth method with a name, which is compared without case. */
export function authMethodByName(
  who: Who,
  name: string,
): Question<Cell<AuthMethodRow> | undefined> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: `acl-auth-method ${fold(name)}`,
      target: { scope: scope.aclMethods },
      newest: view => view.newest(authMethods),
      read: view => view.get(authMethods, fold(name)),
    }
  )
}
