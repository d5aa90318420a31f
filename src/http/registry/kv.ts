/**
 * The paths of the key/value store: `/v1/kv/`.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */
import { fromText, toText } from '../../base/bytes.ts'
import type { Refusal } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import {
  conflicting,
  type KvBounds,
  type KvPut,
  kvEntry,
  kvKeys,
  kvTree,
  missingKey,
  refuseKvPut,
} from '../../registry/kv.ts'
import type { Registry } from '../../registry/room.run.ts'
import type { Question } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { KvRow } from '../../store/tables/kv.ts'
import {
  type Asking,
  acting,
  askEach,
  askOne,
  definePath,
  json,
  type Operation,
  type PathDeclaration,
  type Reply,
  reading,
} from '../declare.ts'
import { flag, optionalString, string, uint64 } from '../query.ts'
import { bool, either, int, list, nullable, object, optional, text } from '../shape.ts'

export const entryShape = object({
  LockIndex: int,
  Key: text,
  Flags: int,
  Value: nullable(text),
  Session: optional(text),
  CreateIndex: int,
  ModifyIndex: int,
})

const ABSENT: Reply = { status: 404, body: '' }

/** The path of all keys. */
export function kvPaths(room: Registry, bounds: KvBounds): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/kv/{key}',
      operations: {
        GET: getOperation(),
        PUT: putOperation(room, bounds),
        DELETE: deleteOperation(room),
      },
    }),
  ]
}

function getOperation(): Operation {
  return reading({
    summary: 'Reads one entry, all entries under a prefix, or their keys.',
    query: {
      recurse: flag('All entries whose keys begin with the path.'),
      keys: flag('Only the keys under the path.'),
      separator: string('With keys: cuts each behind its first occurrence.'),
      seperator: string('The same, as some clients spell it.'),
      raw: flag('The value as it is, instead of JSON.'),
    },
    answers: {
      200: {
        json: either(list(entryShape), list(text)),
        help: 'Entries; with keys a list of keys.',
        orText: 'With raw, the value as it is.',
      },
      404: { empty: 'No such key, or nothing under the prefix.' },
    },
    access: key => [access('read', 'key', key), access('list', 'key', key)],
    ask({ bytes, query, who }) {
      if (query.keys) {
        const separator = fromText(query.separator || query.seperator)
        return askList(kvKeys(who, bytes, separator), key => JSON.stringify(toText(key)), bytes)
      }
      if (query.recurse) return askList(kvTree(who, bytes), renderEntry, bytes)
      if (bytes === '') return missingKey
      const question = kvEntry(who, bytes)
      if (isRefusal(question)) return question
      return query.raw
        ? askOne(question, renderRaw, { variant: 'raw' })
        : askOne(question, renderOne)
    },
  })
}

function putOperation(room: Registry, bounds: KvBounds): Operation {
  return acting({
    summary: 'Sets an entry, under a condition or with a lock where asked.',
    query: {
      flags: uint64('A number that belongs to the client.'),
      cas: uint64('Only if the ModifyIndex is this; 0: only if there is no entry.'),
      acquire: optionalString('Locks the key for this session.'),
      release: optionalString('Unlocks the key of this session.'),
    },
    body: { raw: 'The value.' },
    bodySizeBytes: bounds.kvValueSizeBytes,
    answers: { 200: { json: bool, help: 'Whether it was set.' } },
    access: key => [access('write', 'key', key)],
    run({ bytes, query, body, who }) {
      const request: KvPut = {
        key: bytes,
        value: body,
        flags: query.flags ?? 0n,
        cas: query.cas === undefined ? undefined : Number(query.cas),
        acquire: query.acquire,
        release: query.release,
      }
      const refusal = refuseKvPut(request, bounds)
      if (refusal !== undefined) return refusal
      return room.putKv(who, request).then(answered)
    },
  })
}

function deleteOperation(room: Registry): Operation {
  return acting({
    summary: 'Deletes an entry, or all entries under a prefix.',
    query: {
      recurse: flag('All entries whose keys begin with the path.'),
      cas: uint64('Only if the ModifyIndex is this; 0 never deletes.'),
    },
    body: undefined,
    answers: { 200: { json: bool, help: 'Whether the condition held.' } },
    access: key => [access('write', 'key', key)],
    async run({ bytes, query, who }) {
      if (query.recurse) {
        if (query.cas !== undefined) return conflicting('cas and recurse')
        return answered(await room.deleteKvTree(who, bytes))
      }
      if (bytes === '') return missingKey
      const cas = query.cas === undefined ? undefined : Number(query.cas)
      return answered(await room.deleteKv(who, bytes, cas))
    },
  })
}

const answered = (answer: boolean | Refusal): Reply | Refusal =>
  isRefusal(answer) ? answer : json(answer)

/** Nothing under a prefix is 404, except for the keys of the whole store. */
function askList<T>(
  question: Question<Iterable<T>> | Refusal,
  each: (item: T) => string,
  prefix: string,
): Asking | Refusal {
  if (isRefusal(question)) return question
  const isRootKeys = prefix === '' && question.key.startsWith('kv-keys')
  return askEach(question, each, isRootKeys ? {} : { none: ABSENT })
}

/** An entry as JSON. Built by hand: flags are numbers of 64 bits, which JSON.stringify refuses. */
export const renderEntry = (cell: Cell<KvRow>): string => entryJson(cell, cell.row.value)

/** An entry as JSON with another value than its own. */
export function entryJson(
  {
    key,
    row,
    createIndex,
    modifyIndex,
  }: Pick<Cell<KvRow>, 'key' | 'row' | 'createIndex' | 'modifyIndex'>,
  given: Buffer,
): string {
  const value = given.length === 0 ? 'null' : `"${given.toString('base64')}"`
  const session = row.session === '' ? '' : `"Session":${JSON.stringify(row.session)},`
  return (
    `{"LockIndex":${row.lockIndex},"Key":${JSON.stringify(toText(key))},"Flags":${row.flags},` +
    `"Value":${value},${session}"CreateIndex":${createIndex},"ModifyIndex":${modifyIndex}}`
  )
}

const renderOne = (cell: Cell<KvRow> | undefined): Reply =>
  cell === undefined ? ABSENT : { status: 200, body: `[${renderEntry(cell)}]` }

/** Browsers must never take a value for a page: its type is fixed and it is sandboxed. */
const renderRaw = (cell: Cell<KvRow> | undefined): Reply =>
  cell === undefined
    ? ABSENT
    : {
        status: 200,
        body: cell.row.value,
        type: 'text/plain',
        headers: { 'Content-Security-Policy': 'sandbox' },
      }
