/**
 * The paths that look an entity or a group up by whatever is known of it: `identity/lookup`.
 *
 * Owns their declarations. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { str } from '../../field.ts'
import { aliasById, aliasByName } from '../../identity/alias.ts'
import { entityById, entityByName } from '../../identity/entity.ts'
import { groupById, groupByName } from '../../identity/group.ts'
import { groupAliasById, groupAliasByName } from '../../identity/group-alias.ts'
import { wayOf } from '../../identity/lookup.ts'
import { entityShape, groupShape, showEntity, showGroup } from './shapes.ts'

const fields = {
  id: str('Its id.'),
  name: str('Its name.'),
  alias_id: str('The id of an alias of it.'),
  alias_name: str('The name of an alias of it, beside `alias_mount_accessor`.'),
  alias_mount_accessor: str('The mount of that alias.'),
}
type LookupCall = Call<typeof fields>

const knownOf = ({ fields: said }: LookupCall) => ({
  id: said.id ?? '',
  name: said.name ?? '',
  aliasId: said.alias_id ?? '',
  aliasName: said.alias_name ?? '',
  aliasMountAccessor: said.alias_mount_accessor ?? '',
})

function lookUpEntity(call: LookupCall): Outcome {
  const { draft, namespace } = call
  const known = knownOf(call)
  const way = wayOf(known)
  if (way instanceof Refusal) return way
  const ofAlias = (entityId: string | undefined) =>
    entityId === undefined ? undefined : entityById(draft, namespace.id, entityId)
  const found = {
    id: () => entityById(draft, namespace.id, known.id),
    name: () => entityByName(draft, namespace.id, known.name),
    aliasId: () => ofAlias(aliasById(draft, namespace.id, known.aliasId)?.entityId),
    aliasName: () =>
      ofAlias(
        aliasByName(draft, namespace.id, known.aliasMountAccessor, known.aliasName)?.entityId,
      ),
  }[way]()
  return found === undefined ? NOTHING : { data: showEntity(draft, namespace.id, found) }
}

function lookUpGroup(call: LookupCall): Outcome {
  const { draft, namespace } = call
  const known = knownOf(call)
  const way = wayOf(known)
  if (way instanceof Refusal) return way
  const ofAlias = (groupId: string | undefined) =>
    groupId === undefined ? undefined : groupById(draft, namespace.id, groupId)
  const found = {
    id: () => groupById(draft, namespace.id, known.id),
    name: () => groupByName(draft, namespace.id, known.name),
    aliasId: () => ofAlias(groupAliasById(draft, namespace.id, known.aliasId)?.groupId),
    aliasName: () =>
      ofAlias(
        groupAliasByName(draft, namespace.id, known.aliasMountAccessor, known.aliasName)?.groupId,
      ),
  }[way]()
  return found === undefined ? NOTHING : { data: showGroup(draft, namespace.id, found) }
}

const DESCRIPTION = 'By id, by name, by the id of an alias, or by its name and mount.'

export const lookupPaths = [
  path({
    pattern: 'lookup/entity',
    help: { synopsis: 'Looks an entity up.', description: DESCRIPTION },
    fields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Looks an entity up.',
        effect: 'reads',
        answer: entityShape,
        run: lookUpEntity,
      },
    },
  }),
  path({
    pattern: 'lookup/group',
    help: { synopsis: 'Looks a group up.', description: DESCRIPTION },
    fields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Looks a group up.',
        effect: 'reads',
        answer: groupShape,
        run: lookUpGroup,
      },
    },
  }),
]
