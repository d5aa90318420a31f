/**
 * The paths of groups and of their aliases: `identity/group` and `identity/group-alias`.
 *
 * Owns their declarations. What a group is stands in src/secrets/identity. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { kv, list, str } from '../../field.ts'
import { deleteGroup, groupById, groupByName, writeGroup } from '../../identity/group.ts'
import {
  deleteGroupAlias,
  groupAliasById,
  groupAliasByName,
  writeGroupAlias,
} from '../../identity/group-alias.ts'
import { mountByAccessor, namesOf } from '../../identity/mounts.ts'
import { type GroupAliasRow, type GroupRow, groupAliasIds, groupRows } from '../../identity/rows.ts'
import * as shape from '../../shape.ts'
import { infoAnswer } from './entity.ts'
import {
  groupAliasShape,
  groupInfo,
  groupShape,
  idAndCanonical,
  idAndName,
  showGroup,
  showGroupAlias,
} from './shapes.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const fields = {
  id: str('The id of the group.'),
  name: str('The name of the group; one in any spelling is the same.'),
  type: str('`internal`, or `external` where logins say who is in it.'),
  metadata: kv('Text by text, for policies and for people.'),
  policies: list('Policies of all who are in the group. Never `root`.'),
  member_group_ids: list('The groups in it: exactly these.'),
  member_entity_ids: list('The entities in it: exactly these.'),
}
type GroupCall = Call<typeof fields>

const byId = ({ draft, namespace, fields: { id } }: GroupCall): GroupRow | undefined =>
  groupById(draft, namespace.id, id ?? '')

const byName = ({ draft, namespace, fields: { name } }: GroupCall): GroupRow | undefined =>
  groupByName(draft, namespace.id, name ?? '')

const show = ({ draft, namespace }: GroupCall, group: GroupRow | undefined): Outcome =>
  group === undefined ? NOTHING : { data: showGroup(draft, namespace.id, group) }

function write(call: GroupCall): Outcome {
  const { draft, namespace, fields: said } = call
  const meant = said.id ? byId(call) : said.name ? byName(call) : undefined
  if (said.id && meant === undefined) return bad('invalid group ID')
  const written = writeGroup(draft, namespace, meant, {
    ...said,
    // What was found by its name keeps the spelling that it has.
    name: said.id || meant === undefined ? said.name : undefined,
    memberEntities: said.member_entity_ids,
    memberGroups: said.member_group_ids,
  })
  if (written instanceof Refusal) return written
  const { row, isNew } = written
  return isNew ? { data: { id: row.id, name: row.name } } : NOTHING
}

function remove({ draft, namespace }: GroupCall, group: GroupRow | undefined): Outcome {
  if (group !== undefined) deleteGroup(draft, namespace.id, group)
  return NOTHING
}

const READS = 'Reads a group.'
const WRITES = 'Changes a group, or makes one.'
const DELETES = 'Deletes a group; who was in it loses its policies at once.'
const LISTS = 'Lists all groups.'

const lists = (label: 'id' | 'name') => ({
  fields: {},
  access: 'authorized' as const,
  operations: {
    list: {
      summary: LISTS,
      answer: shape.keys,
      run({ draft, namespace }: Call): Answer {
        const rows = groupRows(draft, namespace.id)
        const other = label === 'id' ? 'name' : 'id'
        return infoAnswer(
          rows.keys().map(id => {
            const row = rows.kept<GroupRow>(id)!
            const info = groupInfo(draft, namespace.id, row)
            return [row[label], { [other]: row[other], ...info }]
          }),
        )
      },
    },
  },
})

export const groupPaths = [
  path({
    pattern: 'group',
    help: { synopsis: 'Makes or changes a group.', description: WRITES },
    fields,
    access: 'authorized',
    operations: {
      update: {
        summary: WRITES,
        answer: idAndName,
        run: write,
        examples: [{ name: 'web', policies: ['web'], member_entity_ids: [] }],
      },
    },
  }),
  path({
    pattern: 'group/id/{id}',
    help: { synopsis: 'A group by its id.', description: 'Reads, changes or deletes it.' },
    fields,
    access: 'authorized',
    operations: {
      read: { summary: READS, answer: groupShape, run: call => show(call, byId(call)) },
      update: { summary: WRITES, answer: idAndName, run: write },
      delete: { summary: DELETES, run: call => remove(call, byId(call)) },
    },
  }),
  path({
    pattern: 'group/name/{name*}',
    help: { synopsis: 'A group by its name.', description: 'Reads, changes, makes or deletes it.' },
    fields,
    access: 'authorized',
    operations: {
      read: { summary: READS, answer: groupShape, run: call => show(call, byName(call)) },
      update: { summary: WRITES, answer: idAndName, run: write },
      delete: { summary: DELETES, run: call => remove(call, byName(call)) },
    },
  }),
  path({
    pattern: 'group/id',
    help: { synopsis: 'The ids of all groups.', description: LISTS },
    ...lists('id'),
  }),
  path({
    pattern: 'group/name',
    help: { synopsis: 'The names of all groups.', description: LISTS },
    ...lists('name'),
  }),
]

const aliasFields = {
  id: str('The id of the alias.'),
  name: str('What logins call the group.'),
  mount_accessor: str('The accessor of the mount whose logins say it.'),
  canonical_id: str('The id of the external group; a new one where none is said.'),
}
type AliasCall = Call<typeof aliasFields>

function writeAlias({ draft, namespace, fields: said }: AliasCall): Outcome {
  const { id = '', canonical_id: groupId = '' } = said
  const byItsId = id === '' ? undefined : groupAliasById(draft, namespace.id, id)
  if (id !== '' && byItsId === undefined) return bad('invalid group alias ID')
  const name = said.name || byItsId?.name || ''
  const accessor = said.mount_accessor || byItsId?.mountAccessor || ''
  if (name === '') return bad('missing alias name')
  if (accessor === '') return bad('missing mount_accessor')
  const mount = mountByAccessor(draft, namespace.id, accessor)
  if (mount === undefined) return bad(`invalid mount accessor ${JSON.stringify(accessor)}`)
  const before = byItsId ?? groupAliasByName(draft, namespace.id, accessor, name)
  const written = writeGroupAlias(draft, namespace, before, { mount, name, groupId })
  if (written instanceof Refusal) return written
  return { data: { canonical_id: written.row.groupId, id: written.row.id } }
}

const aliasOf = ({ draft, namespace, fields: { id } }: AliasCall): GroupAliasRow | undefined =>
  groupAliasById(draft, namespace.id, id ?? '')

function readAlias(call: AliasCall): Outcome {
  const alias = aliasOf(call)
  const { draft, namespace } = call
  return alias === undefined ? NOTHING : { data: showGroupAlias(draft, namespace.id, alias) }
}

function removeAlias(call: AliasCall): Outcome {
  const alias = aliasOf(call)
  if (alias !== undefined) deleteGroupAlias(call.draft, call.namespace.id, alias)
  return NOTHING
}

function listAliases({ draft, namespace }: Call): Answer {
  const mounts = namesOf(draft, namespace.id)
  return infoAnswer(
    groupAliasIds(draft, namespace.id)
      .keys()
      .flatMap(id => {
        const alias = groupAliasById(draft, namespace.id, id)
        if (alias === undefined) return []
        const mount = mounts.get(alias.mountAccessor)
        const info = {
          ...{ canonical_id: alias.groupId, name: alias.name, mount_accessor: alias.mountAccessor },
          ...(mount === undefined ? {} : { mount_path: mount.path, mount_type: mount.type }),
        }
        return [[id, info] as const]
      }),
  )
}

const ALIAS_WRITES = 'Changes the alias of a group, or makes one.'

export const groupAliasPaths = [
  path({
    pattern: 'group-alias',
    help: { synopsis: 'Makes or changes the alias of a group.', description: ALIAS_WRITES },
    fields: aliasFields,
    access: 'authorized',
    operations: { update: { summary: ALIAS_WRITES, answer: idAndCanonical, run: writeAlias } },
  }),
  path({
    pattern: 'group-alias/id/{id}',
    help: {
      synopsis: 'The alias of a group by its id.',
      description: 'Reads, changes, deletes it.',
    },
    fields: aliasFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads the alias of a group.', answer: groupAliasShape, run: readAlias },
      update: { summary: ALIAS_WRITES, answer: idAndCanonical, run: writeAlias },
      delete: { summary: 'Deletes the alias: nobody is in its group any more.', run: removeAlias },
    },
  }),
  path({
    pattern: 'group-alias/id',
    help: { synopsis: 'The ids of all aliases of groups.', description: 'Lists them.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: { summary: 'Lists all aliases of groups.', answer: shape.keys, run: listAliases },
    },
  }),
]
