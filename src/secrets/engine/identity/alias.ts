/**
 * The paths of aliases: `identity/entity-alias`, and the older names `alias` and `persona`.
 *
 * Owns their declarations. What an alias is stands in src/secrets/identity. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { kv, str } from '../../field.ts'
import {
  type AliasWish,
  aliasById,
  aliasByName,
  deleteAlias,
  writeAlias,
} from '../../identity/alias.ts'
import { mountByAccessor, namesOf } from '../../identity/mounts.ts'
import { type AliasRow, aliasIds } from '../../identity/rows.ts'
import * as shape from '../../shape.ts'
import { infoAnswer } from './entity.ts'
import { aliasShape, idAndCanonical, showAlias } from './shapes.ts'

const fields = {
  id: str('The id of the alias.'),
  name: str('The name at the mount; one in any spelling is the same.'),
  canonical_id: str('The id of the entity; a new one where none is said.'),
  entity_id: str('Older name of `canonical_id`.', { isDeprecated: true }),
  mount_accessor: str('The accessor of the mount.'),
  custom_metadata: kv('Text by text, which no login changes.'),
}
type AliasCall = Call<typeof fields>

const bad = (text: string): Refusal => new Refusal(400, text)

function write(call: AliasCall): Outcome {
  const { draft, namespace, fields: said } = call
  const before = meant(call)
  if (before instanceof Refusal) return before
  const accessor = said.mount_accessor || before?.mountAccessor || ''
  const name = said.name || before?.name || ''
  if (accessor === '' || name === '') {
    return bad("'id' or 'mount_accessor' and 'name' must be provided")
  }
  const mount = mountByAccessor(draft, namespace.id, accessor)
  if (mount === undefined) return bad(`invalid mount accessor ${JSON.stringify(accessor)}`)
  const wish: AliasWish = {
    ...{ mount, name, entityId: said.canonical_id || said.entity_id || '' },
    customMetadata: said.custom_metadata ?? before?.customMetadata ?? {},
  }
  if (before !== undefined && isAsItIs(before, wish)) return NOTHING
  const written = writeAlias(draft, namespace.id, before, wish)
  if (written instanceof Refusal) return written
  return { data: { canonical_id: written.row.entityId, id: written.row.id } }
}

/** The alias that a request means: by id, else by mount and name. */
function meant({ draft, namespace, fields: said }: AliasCall): AliasRow | undefined | Refusal {
  if (said.id) return aliasById(draft, namespace.id, said.id) ?? bad('invalid alias ID provided')
  return aliasByName(draft, namespace.id, said.mount_accessor ?? '', said.name ?? '')
}

const isAsItIs = (before: AliasRow, { mount, name, entityId, customMetadata }: AliasWish) =>
  before.name === name &&
  before.mountAccessor === mount.accessor &&
  (entityId === '' || entityId === before.entityId) &&
  JSON.stringify(before.customMetadata) === JSON.stringify(customMetadata)

function read({ draft, namespace, fields: { id = '' } }: AliasCall): Outcome {
  const alias = aliasById(draft, namespace.id, id)
  return alias === undefined ? NOTHING : { data: showAlias(draft, namespace.id, alias) }
}

function remove({ draft, namespace, fields: { id = '' } }: AliasCall): Outcome {
  const alias = aliasById(draft, namespace.id, id)
  if (alias !== undefined) deleteAlias(draft, namespace.id, alias)
  return NOTHING
}

function listIds({ draft, namespace }: Call): Answer {
  const mounts = namesOf(draft, namespace.id)
  return infoAnswer(
    aliasIds(draft, namespace.id)
      .keys()
      .flatMap(id => {
        const alias = aliasById(draft, namespace.id, id)
        if (alias === undefined) return []
        const { name, entityId, mountAccessor, local, customMetadata } = alias
        const mount = mounts.get(mountAccessor)
        const info = {
          ...{ canonical_id: entityId, custom_metadata: customMetadata, local, name },
          mount_accessor: mountAccessor,
          ...(mount === undefined ? {} : { mount_path: mount.path, mount_type: mount.type }),
        }
        return [[id, info] as const]
      }),
  )
}

const WRITES = 'Changes an alias, or makes one.'
const LISTS = 'Lists all aliases.'

/** The paths under one of the names. */
const pathsUnder = (name: string) => [
  path({
    pattern: name,
    help: { synopsis: 'Makes or changes an alias of an entity.', description: WRITES },
    fields,
    access: 'authorized',
    operations: { update: { summary: WRITES, answer: idAndCanonical, run: write } },
  }),
  path({
    pattern: `${name}/id/{id}`,
    help: { synopsis: 'An alias by its id.', description: 'Reads, changes or deletes it.' },
    fields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads an alias.', answer: aliasShape, run: read },
      update: { summary: WRITES, answer: idAndCanonical, run: write },
      delete: { summary: 'Deletes an alias; its entity stays.', run: remove },
    },
  }),
  path({
    pattern: `${name}/id`,
    help: { synopsis: 'The ids of all aliases.', description: LISTS },
    fields: {},
    access: 'authorized',
    operations: { list: { summary: LISTS, answer: shape.keys, run: listIds } },
  }),
]

export const aliasPaths = ['entity-alias', 'alias', 'persona'].flatMap(pathsUnder)
