/**
 * The paths of configuration entries: `/v1/config`.
 *
 * Owns parsing into and rendering out of the room's functions, and the number that an entry is
 * known by. What a kind may say is declared in registry/config-entry/.
 */
import { hash } from 'node:crypto'
import { Refusal } from '../../base/errors.ts'
import { FragmentCache } from '../../base/fragments.ts'
import { access } from '../../base/who.ts'
import {
  type Field,
  type Fields,
  integer,
  text as name,
  object,
} from '../../registry/config-entry/field.ts'
import { decodeEntry, entryKinds } from '../../registry/config-entry/mod.ts'
import { configEntriesOf, configEntry } from '../../registry/config-entry.ts'
import { configFields } from '../../registry/fields.ts'
import type { Registry } from '../../registry/room.run.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { ConfigEntryRow } from '../../store/tables/config-entry.ts'
import {
  acting,
  anonymous,
  askEach,
  askOne,
  definePath,
  json,
  type PathDeclaration,
  plain,
  type Reply,
  reading,
} from '../declare.ts'
import { filtering, uint64 } from '../query.ts'
import {
  anything,
  bool,
  either,
  object as jsonObject,
  list,
  type Shape,
  ShapeError,
} from '../shape.ts'

const texts = new FragmentCache<Cell<ConfigEntryRow>>(entryText)

/** The text of an entry. */
export const configEntryText = (cell: Cell<ConfigEntryRow>): string => texts.of(cell)

/** The paths of configuration entries. */
export function configPaths(room: Registry, datacenter: string): PathDeclaration[] {
  const render = configEntryText
  return [putPath(room, datacenter), kindPath(render), entryPath(room, datacenter, render)]
}

const cas = uint64('Only if the ModifyIndex is this; 0: only if there is none.')
const casOf = (given: bigint | undefined): number | undefined =>
  given === undefined ? undefined : Number(given)

function putPath(room: Registry, datacenter: string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/config',
    operations: {
      PUT: acting({
        summary: 'Writes an entry.',
        query: { cas },
        body: { shape: anything, failure: 'Request decoding failed' },
        answers: { 200: { json: bool, help: 'Whether the condition held.' } },
        access: () => [
          access('write', 'service'),
          access('read', 'service'),
          access('write', 'intention'),
          access('write', 'mesh'),
        ],
        async run({ body, query, who }) {
          const entry = decodeEntry(body)
          if (isRefusal(entry)) return entry
          return answered(await room.putEntry(who, { entry, cas: casOf(query.cas), datacenter }))
        },
      }),
    },
  })
}

const answered = (answer: boolean | Refusal): Reply | Refusal =>
  isRefusal(answer) ? answer : json(answer)

const MUST_NAME = 'Must provide both a kind and name to delete'

function kindPath(render: (cell: Cell<ConfigEntryRow>) => string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/config/{kind}',
    operations: {
      GET: reading({
        summary: 'The entries of a kind; of all kinds where none is named.',
        query: { filter: filtering(configFields) },
        answers: { 200: { json: list(entryShape), help: 'entries, by kind and name' } },
        access: () => [access('read', 'service'), access('read', 'intention')],
        ask({ name: kind, query: { filter }, who }) {
          const question = configEntriesOf(who, kind)
          return isRefusal(question) ? question : askEach(question, render, { filter })
        },
      }),
      DELETE: acting({
        summary: 'Nothing: an entry is deleted by kind and name.',
        query: {},
        body: undefined,
        answers: { 404: { text: MUST_NAME } },
        access: anonymous,
        run: () => new Refusal(404, MUST_NAME),
      }),
    },
  })
}

function entryPath(
  room: Registry,
  datacenter: string,
  render: (cell: Cell<ConfigEntryRow>) => string,
): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/config/{kind}/{name}',
    operations: {
      GET: reading({
        summary: 'An entry.',
        query: {},
        answers: {
          200: { json: entryShape, help: 'the entry' },
          404: { text: 'There is no such entry.' },
        },
        access: part => readAccess(part),
        ask({ name: part, who }) {
          const [kind, entry] = splitPart(part)
          const question = configEntry(who, kind, entry)
          if (isRefusal(question)) return question
          return askOne(question, cell =>
            cell === undefined
              ? plain(`Config entry not found for ${quoted(kind)} / ${quoted(entry)}`, 404)
              : { status: 200, body: render(cell) },
          )
        },
      }),
      DELETE: acting({
        summary: 'Deletes an entry.',
        query: { cas },
        body: undefined,
        answers: {
          200: {
            json: either<unknown, unknown>(jsonObject({}), bool),
            help: '{}, also when there was none; with cas whether the condition held.',
          },
        },
        access: part => writeAccess(part),
        async run({ name: part, query, who }) {
          const [kind, entry] = splitPart(part)
          const request = { kind, name: entry, cas: casOf(query.cas), datacenter }
          const answer = await room.deleteEntry(who, request)
          if (isRefusal(answer)) return answer
          return json(query.cas === undefined ? {} : answer)
        },
      }),
    },
  })
}

/** The kind and the name in the open part of a path. */
function splitPart(part: string): [kind: string, name: string] {
  const slash = part.indexOf('/')
  return [part.slice(0, slash), part.slice(slash + 1)]
}

const kindOf = (part: string) => entryKinds.find(({ kind }) => kind === splitPart(part)[0])
const readAccess = (part: string) => kindOf(part)?.readAccess(splitPart(part)[1]) ?? []
const writeAccess = (part: string) => kindOf(part)?.writeAccess(splitPart(part)[1], {}) ?? []

const quoted = (text: string): string => JSON.stringify(text.slice(0, SHOWN_CHARS))
const SHOWN_CHARS = 128

/** Built by hand: the hash is a number of 64 bits. */
function entryText({ row, createIndex, modifyIndex }: Cell<ConfigEntryRow>): string {
  const { kind, name: entryName, fields } = row
  const body = JSON.stringify({ Kind: kind, Name: entryName, ...fields })
  const indexes = `"CreateIndex":${createIndex},"ModifyIndex":${modifyIndex}`
  return `${body.slice(0, -1)},"Hash":${hashOf(body)},${indexes}}`
}

/** Always above 2^53, so that whoever reads it as a double is found out at once. */
const hashOf = (body: string): bigint =>
  hash('sha256', body, 'buffer').readBigUInt64BE() | (1n << 63n)

/** An answer of any kind, checked by the kind that it says it is of. */
const entryShape: Shape<unknown> = shapeOf(entryField())

function entryField(): Field {
  const common: Fields = { Kind: name, Name: name }
  const indexes: Fields = {
    Hash: { ...integer, check: checkHash },
    CreateIndex: integer,
    ModifyIndex: integer,
  }
  const byKind = new Map(
    entryKinds.map(one => [one.kind, object({ ...common, ...one.fields, ...indexes })]),
  )
  const check = (value: unknown, at: string): string[] =>
    byKind.get((value as { Kind: string }).Kind)?.check(value, at) ?? [`${at}: of no kind`]
  return {
    ...object(common),
    check,
    schema: { anyOf: [...byKind.values()].map(one => one.schema) },
  }
}

function checkHash(value: unknown, at: string): string[] {
  return typeof value === 'number' && value >= 2 ** 53 ? [] : [`${at}: not a hash`]
}

/** A field of an entry as a part of a body or of an answer. */
export function shapeOf(field: Field): Shape<unknown> {
  return {
    zero: () => undefined,
    decode(value, at) {
      const problems: string[] = []
      const found = field.decode(value, at, problems)
      if (problems[0] !== undefined) throw new ShapeError(problems[0])
      return found
    },
    check: field.check,
    schema: field.schema,
  }
}
