/**
 * The paths of entities: `identity/entity` and what is below it.
 *
 * Owns their declarations. What an entity is stands in src/secrets/identity. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { bool, dur, kv, list, str } from '../../field.ts'
import { deleteEntity, entityById, entityByName, writeEntity } from '../../identity/entity.ts'
import { mergeEntities } from '../../identity/merge.ts'
import { namesOf } from '../../identity/mounts.ts'
import { pruneEntities } from '../../identity/prune.ts'
import { type EntityRow, entityNames, entityRows, type IdRow } from '../../identity/rows.ts'
import { VAULT_TTLS } from '../../mount/ttl.ts'
import * as shape from '../../shape.ts'
import { entityInfo, entityShape, showEntity } from './shapes.ts'

const changeFields = {
  metadata: kv('Text by text, for policies and for people.'),
  policies: list('Policies of whoever the entity is, beside those of tokens. Never `root`.'),
  disabled: bool('Whether tokens of the entity are refused.'),
}
const fields = {
  ...changeFields,
  id: str('The id of the entity.'),
  name: str('The name of the entity; one in any spelling is the same.'),
}
type EntityCall = Call<typeof fields>

const written = shape.object({
  id: shape.text,
  name: shape.text,
  aliases: shape.nullable(shape.texts),
})

const show = ({ draft, namespace }: EntityCall, entity: EntityRow | undefined): Outcome =>
  entity === undefined ? NOTHING : { data: showEntity(draft, namespace.id, entity) }

const byId = ({ draft, namespace, fields: { id } }: EntityCall): EntityRow | undefined =>
  entityById(draft, namespace.id, id ?? '')

const byName = ({ draft, namespace, fields: { name } }: EntityCall): EntityRow | undefined =>
  entityByName(draft, namespace.id, name ?? '')

/** Writes the entity that a request means, or a new one. */
function write(call: EntityCall): Outcome {
  const { draft, namespace, fields: said } = call
  const meant = said.id ? byId(call) : said.name ? byName(call) : undefined
  if (said.id && meant === undefined) return NOT_FOUND
  // What was found by its name keeps the spelling that it has.
  const change = said.id || meant === undefined ? said : { ...said, name: undefined }
  const written = writeEntity(draft, namespace.id, meant, change)
  if (written instanceof Refusal) return written
  const { row, isNew } = written
  return isNew ? { data: { id: row.id, name: row.name, aliases: null } } : NOTHING
}

const NOT_FOUND = new Refusal(400, 'entity not found from id')

function remove({ draft, namespace }: EntityCall, entity: EntityRow | undefined): Outcome {
  if (entity !== undefined) deleteEntity(draft, namespace.id, entity)
  return NOTHING
}

const READS = 'Reads an entity.'
const WRITES = 'Changes an entity, or makes one.'
const DELETES = 'Deletes an entity with its aliases; its tokens are refused from then on.'

const entity = path({
  pattern: 'entity',
  help: { synopsis: 'Makes or changes an entity.', description: WRITES },
  fields,
  access: 'authorized',
  operations: {
    update: {
      summary: WRITES,
      answer: written,
      run: write,
      examples: [{ name: 'ann', metadata: { team: 'web' }, policies: ['web'] }],
    },
  },
})

const entityId = path({
  pattern: 'entity/id/{id}',
  help: { synopsis: 'An entity by its id.', description: 'Reads, changes or deletes it.' },
  fields,
  access: 'authorized',
  operations: {
    read: { summary: READS, answer: entityShape, run: call => show(call, byId(call)) },
    update: { summary: WRITES, answer: written, run: write },
    delete: { summary: DELETES, run: call => remove(call, byId(call)) },
  },
})

const entityName = path({
  pattern: 'entity/name/{name*}',
  help: { synopsis: 'An entity by its name.', description: 'Reads, changes, makes or deletes it.' },
  fields,
  access: 'authorized',
  operations: {
    read: { summary: READS, answer: entityShape, run: call => show(call, byName(call)) },
    update: { summary: WRITES, answer: written, run: write },
    delete: { summary: DELETES, run: call => remove(call, byName(call)) },
  },
})

const LISTS = 'Lists all entities, with their aliases.'

const entityIds = path({
  pattern: 'entity/id',
  help: { synopsis: 'The ids of all entities.', description: LISTS },
  fields: {},
  access: 'authorized',
  operations: { list: { summary: LISTS, answer: shape.keys, run: listIds } },
})

function listIds({ draft, namespace }: Call): Answer {
  const mounts = namesOf(draft, namespace.id)
  const rows = entityRows(draft, namespace.id)
  return infoAnswer(
    rows.keys().map(id => {
      const row = rows.kept<EntityRow>(id)!
      return [id, { name: row.name, aliases: entityInfo(draft, namespace.id, mounts, row) }]
    }),
  )
}

const entityNamesPath = path({
  pattern: 'entity/name',
  help: { synopsis: 'The names of all entities.', description: LISTS },
  fields: {},
  access: 'authorized',
  operations: { list: { summary: LISTS, answer: shape.keys, run: listNames } },
})

function listNames({ draft, namespace }: Call): Answer {
  const mounts = namesOf(draft, namespace.id)
  const rows = entityRows(draft, namespace.id)
  const names = entityNames(draft, namespace.id)
  return infoAnswer(
    names.keys().flatMap(key => {
      const row = rows.kept<EntityRow>(names.kept<IdRow>(key)!.id)
      if (row === undefined) return []
      const aliases = entityInfo(draft, namespace.id, mounts, row)
      return [[row.name, { id: row.id, aliases }] as const]
    }),
  )
}

/** Keys in their order, each with what there is to say of it. */
export function infoAnswer(entries: readonly (readonly [string, object])[]): Answer {
  if (entries.length === 0) return NOTHING
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return { data: { key_info: Object.fromEntries(sorted), keys: sorted.map(([key]) => key) } }
}

const batchDelete = path({
  pattern: 'entity/batch-delete',
  help: { synopsis: 'Deletes several entities.', description: 'What is not there is let pass.' },
  fields: { entity_ids: list('The ids of those that go.') },
  access: 'authorized',
  operations: {
    update: {
      summary: 'Deletes several entities.',
      run({ draft, namespace, fields: { entity_ids: ids = [] } }) {
        if (ids.length === 0) return new Refusal(400, 'missing entity ids to delete')
        if (ids.length > limits.entitiesEndedAtOnce) return TOO_MANY
        for (const id of ids) {
          const found = entityById(draft, namespace.id, id)
          if (found?.id === id) deleteEntity(draft, namespace.id, found)
        }
        return NOTHING
      },
    },
  },
})

const TOO_MANY = new Refusal(
  400,
  `at most ${limits.entitiesEndedAtOnce} entities can be deleted by one request`,
)

const clash = shape.object({
  entity: shape.text,
  entity_id: shape.text,
  alias: shape.text,
  mount: shape.text,
  mount_path: shape.text,
})

const merge = path({
  pattern: 'entity/merge',
  help: {
    synopsis: 'Makes one entity of several.',
    description:
      'The one takes over aliases and groups of the others, never their policies. Where two have an alias of one mount, `conflicting_alias_ids_to_keep` says which stays.',
  },
  fields: {
    from_entity_ids: list('The entities that become part of the other.'),
    to_entity_id: str('The entity that stays.'),
    conflicting_alias_ids_to_keep: list('Of two aliases of one mount, the one that stays.'),
    force: bool('Of two secrets for one MFA method, the entity that stays keeps its own.'),
  },
  access: 'authorized',
  operations: {
    update: {
      summary: 'Makes one entity of several.',
      answer: shape.object({ data: shape.list(clash) }),
      run({ draft, namespace, fields: said }) {
        const { from_entity_ids: from = [], to_entity_id: to = '' } = said
        if (to === '') return new Refusal(400, 'missing entity id to merge to')
        if (from.length === 0) return new Refusal(400, 'missing entity ids to merge from')
        if (from.length > limits.entitiesEndedAtOnce) return TOO_MANY
        const keep = said.conflicting_alias_ids_to_keep ?? []
        const force = said.force ?? false
        const clashes = mergeEntities(draft, namespace.id, { from, to, keep, force })
        if (clashes instanceof Refusal) return clashes
        if (clashes.length === 0) return NOTHING
        const mounts = namesOf(draft, namespace.id)
        const data = clashes.map(({ entity: { id, name }, alias }) => ({
          entity: name,
          entity_id: id,
          alias: alias.name,
          mount: mounts.get(alias.mountAccessor)?.type ?? '',
          mount_path: mounts.get(alias.mountAccessor)?.path ?? '',
        }))
        return { status: 400, errors: [CLASHES], data: { data } }
      },
    },
  },
})

const CLASHES =
  'toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge request specifying exactly one fromEntity'

const prune = path({
  pattern: 'entity/prune',
  help: {
    synopsis: 'Deletes what logins left behind.',
    description:
      'Deletes entities that a login made, that nobody gave policies, metadata or groups, and that were not seen for so long. Tokens that it still has end with it; it comes again with the next login. Ours: Vault has no such path.',
  },
  fields: {
    unseen_for: dur(
      'How long an entity has neither logged in nor renewed a token: 32 days or more.',
    ),
    dry_run: bool('Only tells what would go.'),
  },
  access: 'authorized',
  operations: {
    update: {
      summary: 'Deletes entities that nobody would miss.',
      answer: shape.object({ entity_ids: shape.texts, more: shape.bool }),
      run({ draft, namespace, now, fields: { unseen_for: unseenMs = 0, dry_run = false } }) {
        if (unseenMs < VAULT_TTLS.maxMs) return TOO_SHORT
        const { ids, hasMore } = pruneEntities(draft, namespace.id, {
          beforeMs: now - unseenMs,
          limit: limits.entitiesEndedAtOnce,
          isDry: dry_run,
        })
        return { data: { entity_ids: ids, more: hasMore } }
      },
      examples: [{ unseen_for: '90d', dry_run: true }],
    },
  },
})

const TOO_SHORT = new Refusal(400, "'unseen_for' must be 32 days or more: tokens may live so long")

export const entityPaths = [
  ...[entity, entityId, entityName, entityIds, entityNamesPath, batchDelete, merge, prune],
]
