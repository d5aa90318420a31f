/**
 * The paths of assignments: `identity/oidc/assignment`.
 *
 * Owns their declarations and rules. Pure.
 */
import { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { list, str } from '../../../field.ts'
import { ALLOW_ALL, assignmentAt } from '../../../oidc/people.ts'
import {
  type AssignmentRow,
  assignmentRows,
  type ClientRow,
  clientRows,
  isName,
  namesOf,
} from '../../../oidc/rows.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import { keysAnswer } from '../../kv/v1.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const fields = {
  name: str('Name of the assignment.'),
  entity_ids: list('Ids of entities: exactly these.'),
  group_ids: list('Ids of groups, whose members are meant: exactly these.'),
}
type AssignmentCall = Call<typeof fields>

export const assignmentPaths: readonly PathSpec[] = [
  path({
    pattern: 'oidc/assignment',
    help: { synopsis: 'The names of all assignments.', description: 'Lists them.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists all assignments.',
        answer: shape.keys,
        run: ({ draft, namespace }) =>
          keysAnswer(namesOf(assignmentRows(draft, namespace.id), ALLOW_ALL)),
      },
    },
  }),
  path({
    pattern: 'oidc/assignment/{name}',
    help: {
      synopsis: 'An assignment: people who may log in to a client.',
      description:
        'Makes, changes, tells of and deletes it. `allow_all` is there from the start, and stays.',
    },
    fields,
    access: 'authorized',
    exists: ({ draft, namespace, fields: { name } }) =>
      assignmentAt(draft, namespace.id, name!) !== undefined,
    operations: {
      read: {
        summary: 'Tells of an assignment.',
        answer: shape.object({ entity_ids: shape.texts, group_ids: shape.texts }),
        run: read,
      },
      update: {
        summary: 'Makes or changes an assignment.',
        run: write,
        examples: [{ group_ids: ['0d6a1c5e-0000-4000-8000-000000000001'] }],
      },
      delete: { summary: 'Deletes an assignment that no client has.', run: remove },
    },
  }),
]

function read({ draft, namespace, fields: { name } }: AssignmentCall): Outcome {
  if (!isName(name!)) return UNSUPPORTED_PATH
  const row = assignmentAt(draft, namespace.id, name!)
  return row === undefined
    ? NOTHING
    : { data: { entity_ids: row.entityIds, group_ids: row.groupIds } }
}

/** Each once, as ids are kept; what stands behind a dot says a namespace, and keeps its letters. */
const idsOf = (said: readonly string[]): string[] => [
  ...new Set(said.map(id => id.replace(/^[^.]*/, uuid => uuid.toLowerCase()))),
]

function write({ draft, namespace, fields: said }: AssignmentCall): Outcome {
  const name = said.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  if (name === ALLOW_ALL) {
    return bad(`modification of assignment ${JSON.stringify(name)} not allowed`)
  }
  const before = assignmentAt(draft, namespace.id, name)
  const row: AssignmentRow = {
    entityIds: idsOf(said.entity_ids ?? before?.entityIds ?? []),
    groupIds: idsOf(said.group_ids ?? before?.groupIds ?? []),
  }
  if (row.entityIds.length + row.groupIds.length > limits.oidcListItems) {
    return bad(`an assignment has more than ${limits.oidcListItems} ids`)
  }
  assignmentRows(draft, namespace.id).put(name, row)
  return NOTHING
}

/** How many names a refusal tells. */
const TOLD_NAMES = 20

function remove({ draft, namespace, fields }: AssignmentCall): Outcome {
  const name = fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  if (name === ALLOW_ALL) return bad(`deletion of assignment ${JSON.stringify(name)} not allowed`)
  const rows = clientRows(draft, namespace.id)
  const users = rows
    .keys()
    .filter(client => rows.kept<ClientRow>(client)!.assignments.includes(name))
  if (users.length > 0) {
    return bad(
      `unable to delete assignment ${JSON.stringify(name)} because it is currently referenced by these clients: ${users.slice(0, TOLD_NAMES).join(', ')}`,
    )
  }
  assignmentRows(draft, namespace.id).delete(name)
  return NOTHING
}
