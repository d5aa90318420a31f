/**
 * The paths that all kinds of ACL objects have: list, create, read, change, delete.
 *
 * Owns their form, once for policies, roles, binding rules and auth methods. What each kind says
 * and which rule it calls stands with the kind.
 */
import { Refusal } from '../../base/errors.ts'
import { access, type Caller } from '../../base/who.ts'
import type { Stored } from '../../identity/room.run.ts'
import type { Question, View } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import {
  acting,
  askEach,
  askOne,
  definePath,
  json,
  type Operation,
  type PathDeclaration,
  plain,
  type Reply,
  reading,
} from '../declare.ts'
import { string } from '../query.ts'
import { bool, list, type Shape } from '../shape.ts'

/** What may follow an object's path: what is asked for, or why not. */
type Asked<T> = Question<T> | Refusal

export interface AclObject<R, B> {
  /** In texts: `policy`. */
  readonly what: string
  /** What an object is known by, in texts: `ID` unless said otherwise. */
  readonly idName?: string
  /** `/v1/acl/policy`; objects stand under it by their id. */
  readonly path: string
  readonly listPath: string
  /** What the list may be narrowed by: a parameter of the query and its help. */
  readonly narrowedBy?: { readonly parameter: string; readonly help: string }
  readonly body: Shape<B>
  /** How a bad body's text begins. */
  readonly failure: string
  readonly shape: Shape<unknown>
  /** In lists, where that says less. */
  readonly stub?: { readonly shape: Shape<unknown>; json(view: View, cell: Cell<R>): unknown }
  readonly json: (view: View, stored: Stored<R>) => unknown
  /** The id of a body, as it is compared; '' for none. */
  readonly idOf: (body: B) => string
  /** How an id of a path is looked up. */
  readonly fold: (id: string) => string
  /** What is refused of a body that is to be created, beside what the rule refuses. */
  readonly refuseNew: (body: B) => Refusal | undefined
  readonly mismatch: string
  readonly all: (who: Caller, narrowed: string) => Asked<Iterable<Cell<R> | undefined>>
  readonly byId: (who: Caller, id: string) => Asked<Cell<R> | undefined>
  readonly byName?: (who: Caller, name: string) => Asked<Cell<R> | undefined>
  readonly create: (who: Caller, body: B) => Promise<Stored<R> | Refusal>
  readonly update: (who: Caller, id: string, body: B) => Promise<Stored<R> | Refusal>
  readonly remove: (who: Caller, id: string) => Promise<boolean | Refusal>
}

const reads = () => [access('read', 'acl')]
const writes = () => [access('write', 'acl')]

const idNameOf = ({ idName = 'ID' }: { readonly idName?: string }): string => idName
const article = (what: string): string => `${/^[aeiou]/.test(what) ? 'an' : 'a'} ${what}`

/** All paths of a kind of objects. `view`: the newest, for answers to writes. */
export function objectPaths<R, B>(of: AclObject<R, B>, view: () => View): PathDeclaration[] {
  const { path, listPath, byName } = of
  const named = byName === undefined ? [] : [namePath(of, byName)]
  return [
    definePath({ where: 'servers', path: listPath, operations: { GET: listOperation(of) } }),
    definePath({ where: 'servers', path, operations: { PUT: createOperation(of, view) } }),
    ...named,
    definePath({
      where: 'servers',
      path: `${path}/{${idNameOf(of).toLowerCase()}}`,
      operations: {
        GET: getOperation(of, of.byId),
        PUT: updateOperation(of, view),
        DELETE: deleteOperation(of),
      },
    }),
  ]
}

function listOperation<R, B>({ narrowedBy, ...of }: AclObject<R, B>): Operation {
  const shown = of.stub ?? of
  const parameter = narrowedBy?.parameter ?? ''
  return reading({
    summary: `All of them: ${of.what}.`,
    query: narrowedBy === undefined ? {} : { [parameter]: string(narrowedBy.help) },
    answers: { 200: { json: list(shown.shape), help: 'a list' } },
    access: reads,
    ask({ query, who }) {
      const given = (query as Readonly<Record<string, unknown>>)[parameter]
      const question = of.all(who, String(given ?? ''))
      if (isRefusal(question)) return question
      return askEach(question, (cell, at) => JSON.stringify(shown.json(at, cell!)))
    },
  })
}

function namePath<R, B>(
  of: AclObject<R, B>,
  byName: NonNullable<AclObject<R, B>['byName']>,
): PathDeclaration {
  return definePath({
    where: 'servers',
    path: `${of.path}/name/{name}`,
    operations: { GET: getOperation(of, byName) },
  })
}

function getOperation<R, B>(of: AclObject<R, B>, by: AclObject<R, B>['byId']): Operation {
  const answer = (cell: Cell<R> | undefined, at: View): Reply =>
    cell === undefined ? noSuch(of.what) : json(of.json(at, cell))
  return reading({
    summary: `One ${of.what}.`,
    query: {},
    answers: { 200: { json: of.shape, help: `the ${of.what}` }, 404: notThere(of.what) },
    access: reads,
    ask({ name, who }) {
      if (name === '') return missingId(`${of.what} ${idNameOf(of)}`)
      const question = by(who, of.fold(name))
      return isRefusal(question) ? question : askOne(question, answer)
    },
  })
}

function createOperation<R, B>(of: AclObject<R, B>, view: () => View): Operation {
  return acting({
    summary: `Creates ${article(of.what)}.`,
    query: {},
    body: { shape: of.body, failure: of.failure },
    answers: { 200: { json: of.shape, help: `the ${of.what}` } },
    access: writes,
    async run({ body, who }) {
      const made = of.refuseNew(body) ?? (await of.create(who, body))
      return isRefusal(made) ? made : json(of.json(view(), made))
    },
  })
}

function updateOperation<R, B>(of: AclObject<R, B>, view: () => View): Operation {
  return acting({
    summary: `Changes ${article(of.what)}.`,
    query: {},
    body: { shape: of.body, failure: of.failure },
    answers: { 200: { json: of.shape, help: `the ${of.what}` } },
    access: writes,
    async run({ name, body, who }) {
      if (name === '') return missingId(`${of.what} ${idNameOf(of)}`)
      const given = of.idOf(body)
      if (given !== '' && given !== of.fold(name)) return new Refusal(400, of.mismatch)
      const made = await of.update(who, of.fold(name), body)
      return isRefusal(made) ? made : json(of.json(view(), made))
    },
  })
}

function deleteOperation<R, B>(of: AclObject<R, B>): Operation {
  return acting({
    summary: `Deletes ${article(of.what)}.`,
    query: {},
    body: undefined,
    answers: { 200: { json: bool, help: 'true' }, 404: notThere(of.what) },
    access: writes,
    async run({ name, who }) {
      if (name === '') return missingId(`${of.what} ${idNameOf(of)}`)
      return deleted(await of.remove(who, of.fold(name)), of.what)
    },
  })
}

/** What is answered about something that is not there. */
const noSuch = (what: string): Reply =>
  plain(`Requested ${what} does not exist: ACL not found`, 404)
const notThere = (what: string) => ({ text: `There is no such ${what}.` })

/** An answer to a deletion: true, or that there was nothing to delete. */
export function deleted(was: boolean | Refusal, what: string): Reply | Refusal {
  if (isRefusal(was)) return was
  return was ? json(true) : new Refusal(404, `Cannot find ${what} to delete`)
}

export const missingId = (what: string): Refusal => new Refusal(400, `Missing ${what}`)
