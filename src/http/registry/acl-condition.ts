/**
 * The paths of conditions: `/v1/acl/condition` and `/v1/acl/conditions`, ours beside Consul's.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */
import { Refusal } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import { allConditions, conditionByName } from '../../identity/condition/condition.ts'
import type { Conditions } from '../../identity/condition/room.run.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { ConditionLevel, ConditionRow } from '../../store/tables/acl-condition.ts'
import {
  acting,
  askEach,
  askOne,
  definePath,
  json,
  type Operation,
  type PathDeclaration,
  plain,
  reading,
} from '../declare.ts'
import { uint64 } from '../query.ts'
import { bool, either, int, list, type Of, object, optional, text } from '../shape.ts'
import { disabled } from './acl.ts'

/** The part of the room that this face uses. */
export type ConditionsPort = Pick<Conditions, 'put' | 'delete'>

const operationFields = { Resource: text, Name: optional(text), Prefix: optional(text) }

const bodyShape = object({
  Name: text,
  Description: text,
  Expression: text,
  Level: text,
  Operations: list(object(operationFields)),
  Enabled: optional(bool),
  CreateIndex: int,
  ModifyIndex: int,
})

const written = {
  Name: text,
  Description: text,
  Expression: text,
  Level: text,
  Operations: list(object(operationFields)),
  Enabled: bool,
}
const shownShape = object({ ...written, CreateIndex: int, ModifyIndex: int })

/** The paths of conditions; without ACLs nothing would be governed, and each says so. */
export function conditionPaths(room: ConditionsPort | undefined): PathDeclaration[] {
  if (room === undefined) return pathsOf(NO_ROOM).map(disabled)
  return pathsOf(room)
}

const pathsOf = (room: ConditionsPort): PathDeclaration[] => [
  definePath({
    where: 'servers',
    path: '/v1/acl/conditions',
    operations: { GET: listOperation() },
  }),
  definePath({
    where: 'servers',
    path: '/v1/acl/condition/{name}',
    operations: {
      GET: getOperation(),
      PUT: putOperation(room),
      DELETE: deleteOperation(room),
    },
  }),
]

/** Declarations hold what they call, and are never run without it. */
const NO_ROOM = {} as ConditionsPort

const READING = [access('read', 'acl')]
const WRITING = [access('write', 'acl')]

const listOperation = (): Operation =>
  reading({
    summary: 'All conditions, by name.',
    query: {},
    answers: { 200: { json: list(shownShape), help: 'conditions' } },
    access: () => READING,
    ask({ who }) {
      const question = allConditions(who)
      return isRefusal(question) ? question : askEach(question, shownText)
    },
  })

const NOT_FOUND = plain('Requested condition does not exist: ACL not found', 404)

const getOperation = (): Operation =>
  reading({
    summary: 'A condition.',
    query: {},
    answers: {
      200: { json: shownShape, help: 'the condition' },
      404: { text: 'There is no such condition.' },
    },
    access: () => READING,
    ask({ name, who }) {
      const question = conditionByName(who, name)
      if (isRefusal(question)) return question
      return askOne(question, found =>
        found === undefined ? NOT_FOUND : { status: 200, body: shownText(found) },
      )
    },
  })

const cas = uint64('Only if the ModifyIndex is this; 0: only if there is none.')
const casOf = (given: bigint | undefined): number | undefined =>
  given === undefined ? undefined : Number(given)

const putOperation = (room: ConditionsPort): Operation =>
  acting({
    summary: 'Writes a condition in the place of the one with its name.',
    query: { cas },
    body: { shape: bodyShape, failure: 'Condition decoding failed' },
    answers: {
      200: {
        json: either<unknown, unknown>(bool, object(written)),
        help: 'the condition as it was written; false where cas did not hold',
      },
    },
    access: () => WRITING,
    async run({ name, body, query, who }) {
      if (body.Name !== '' && body.Name !== name) {
        return new Refusal(400, 'Condition Name in URL and payload do not match')
      }
      const row = await room.put(who, rowOf(name, body), casOf(query.cas))
      if (isRefusal(row)) return row
      return json(row === false ? false : writtenJson(row))
    },
  })

const deleteOperation = (room: ConditionsPort): Operation =>
  acting({
    summary: 'Deletes a condition; no condition governs this.',
    query: { cas },
    body: undefined,
    answers: {
      200: { json: bool, help: 'true; false where cas did not hold' },
      404: { text: 'There is no such condition.' },
    },
    access: () => WRITING,
    async run({ name, query, who }) {
      const deleted = await room.delete(who, name, casOf(query.cas))
      return isRefusal(deleted) ? deleted : json(deleted)
    },
  })

function rowOf(name: string, body: Of<typeof bodyShape>): ConditionRow {
  return {
    name,
    description: body.Description,
    expression: body.Expression,
    // What is none is refused by the rule.
    level: body.Level as ConditionLevel,
    operations: body.Operations.map(({ Resource, Name, Prefix }) => ({
      resource: Resource,
      name: Name,
      prefix: Prefix,
    })),
    enabled: body.Enabled ?? true,
  }
}

const writtenJson = (row: ConditionRow) => ({
  Name: row.name,
  Description: row.description,
  Expression: row.expression,
  Level: row.level,
  Operations: row.operations.map(({ resource, name, prefix }) => ({
    Resource: resource,
    ...(name === undefined ? {} : { Name: name }),
    ...(prefix === undefined ? {} : { Prefix: prefix }),
  })),
  Enabled: row.enabled,
})

const shownText = ({ row, createIndex, modifyIndex }: Cell<ConditionRow>): string =>
  JSON.stringify({ ...writtenJson(row), CreateIndex: createIndex, ModifyIndex: modifyIndex })
