/**
 * The paths of enforcements: `identity/mfa/login-enforcement`.
 *
 * Owns their declarations and what is wrong with one that is written: methods and targets must be
 * there as it is. Pure. Follows api-docs/secret/identity/mfa/login-enforcement of Vault's docs.
 */
import { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { list, str } from '../../../field.ts'
import { entityById } from '../../../identity/entity.ts'
import { groupRows } from '../../../identity/rows.ts'
import { type EnforcementRow, enforcementRows, enforcementsOf } from '../../../mfa/enforcement.ts'
import { usableMethod, visibleMethod } from '../../../mfa/method.ts'
import { mountsOf } from '../../../mount/mount.ts'
import { namespacesUnder } from '../../../namespace/change.ts'
import type { Namespace } from '../../../namespace/namespace.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import type { Draft } from '../../../storage.ts'
import { infoAnswer } from '../entity.ts'

const fields = {
  name: str('The name of the enforcement.'),
  mfa_method_ids: list('Ids of methods, any of which does.'),
  auth_method_accessors: list('Accessors of auth mounts whose logins are meant.'),
  auth_method_types: list('Types of auth mounts whose logins are meant.'),
  identity_group_ids: list('Ids of groups whose members are meant, also by other groups.'),
  identity_entity_ids: list('Ids of entities that are meant.'),
}
type EnforcementCall = Call<typeof fields>

const bad = (text: string): Refusal => new Refusal(400, text)

const TARGETS = [
  ...(['auth_method_accessors', 'auth_method_types'] as const),
  ...(['identity_group_ids', 'identity_entity_ids'] as const),
] as const

/** As Vault's names of that kind: letters, and signs within. */
const NAME = /^\w(([\w.-]+)?\w)?$/

function write(call: EnforcementCall): Outcome {
  const { draft, namespace, fields: said } = call
  const { name = '' } = said
  if (!NAME.test(name) || name.length > limits.mfaNameChars) return UNSUPPORTED_PATH
  const rows = enforcementRows(draft, namespace.id)
  const before = rows.kept<EnforcementRow>(name)
  if (!call.given('mfa_method_ids')) return bad('missing method ids')
  const methodIds = said.mfa_method_ids ?? []
  if (methodIds.length === 0) return bad('missing method ids')
  const refused =
    refuseMany([methodIds, ...TARGETS.map(target => said[target] ?? [])]) ??
    refuseMethods(draft, namespace, methodIds) ??
    refuseMounts(draft, namespace, said) ??
    refusePeople(draft, namespace, said)
  if (refused !== undefined) return refused
  if (!TARGETS.some(target => call.given(target))) return NO_TARGET
  const row: EnforcementRow = {
    ...{ id: before?.id ?? draft.random.uuid(), name, methodIds: [...new Set(methodIds)] },
    mountAccessors: said.auth_method_accessors ?? before?.mountAccessors ?? [],
    mountTypes: said.auth_method_types ?? before?.mountTypes ?? [],
    groupIds: said.identity_group_ids ?? before?.groupIds ?? [],
    entityIds: said.identity_entity_ids ?? before?.entityIds ?? [],
  }
  const { mountAccessors, mountTypes, groupIds, entityIds } = row
  if (mountAccessors.length + mountTypes.length + groupIds.length + entityIds.length === 0) {
    return NO_TARGET
  }
  if (before === undefined && rows.keys('').length >= limits.mfaEnforcements) {
    return bad(`a namespace has at most ${limits.mfaEnforcements} login enforcements`)
  }
  rows.put(name, row)
  return NOTHING
}

const NO_TARGET = bad(
  'One of auth_method_accessors, auth_method_types, identity_group_ids, identity_entity_ids must be specified',
)

function refuseMany(lists: readonly (readonly string[])[]): Refusal | undefined {
  return lists.some(({ length }) => length > limits.mfaTargets)
    ? bad(`a login enforcement names at most ${limits.mfaTargets} of a kind`)
    : undefined
}

function refuseMethods(
  draft: Draft,
  namespace: Namespace,
  ids: readonly string[],
): Refusal | undefined {
  for (const id of ids) {
    if (usableMethod(draft, namespace, id) !== undefined) continue
    return visibleMethod(draft, namespace, id) === undefined
      ? bad("one of the provided method ids doesn't exist")
      : bad("one of the provided method ids is in an incompatible namespace and can't be used")
  }
  return undefined
}

function refuseMounts(
  draft: Draft,
  namespace: Namespace,
  said: EnforcementCall['fields'],
): Refusal | undefined {
  const mounts = mountsOf(draft, namespace, 'auth')
  const accessors = new Set(mounts.map(({ accessor }) => accessor))
  const types = new Set(mounts.map(({ type }) => type))
  if ((said.auth_method_accessors ?? []).some(one => !accessors.has(one))) {
    return bad('one of the auth method accessors provided is invalid')
  }
  return (said.auth_method_types ?? []).some(one => !types.has(one))
    ? bad('one of the auth method types provided is invalid')
    : undefined
}

/** People may be those of inner namespaces: it is for their logins too. */
function refusePeople(
  draft: Draft,
  namespace: Namespace,
  said: EnforcementCall['fields'],
): Refusal | undefined {
  const { identity_group_ids: groups = [], identity_entity_ids: entities = [] } = said
  if (groups.length + entities.length === 0) return undefined
  const homes = [namespace, ...namespacesUnder(draft, namespace, true)].map(({ id }) => id)
  if (groups.some(id => homes.every(home => id === '' || !groupRows(draft, home).has(id)))) {
    return bad("one of the provided group ids doesn't exist")
  }
  const isEntity = (id: string): boolean =>
    homes.some(home => entityById(draft, home, id)?.id === id)
  return entities.every(isEntity) ? undefined : bad("one of the provided entity ids doesn't exist")
}

const shown = ({ id: namespace_id, path: namespace_path }: Namespace, row: EnforcementRow) => ({
  auth_method_accessors: row.mountAccessors,
  auth_method_types: row.mountTypes,
  id: row.id,
  identity_entity_ids: row.entityIds,
  identity_group_ids: row.groupIds,
  mfa_method_ids: row.methodIds,
  name: row.name,
  namespace_id,
  namespace_path,
})

const enforcementShape = shape.object({
  ...{ auth_method_accessors: shape.texts, auth_method_types: shape.texts, id: shape.text },
  ...{ identity_entity_ids: shape.texts, identity_group_ids: shape.texts },
  ...{ mfa_method_ids: shape.texts, name: shape.text },
  ...{ namespace_id: shape.text, namespace_path: shape.text },
})

function read({ draft, namespace, fields: { name = '' } }: EnforcementCall): Outcome {
  const row = enforcementRows(draft, namespace.id).kept<EnforcementRow>(name)
  return row === undefined ? NOTHING : { data: shown(namespace, row) }
}

function remove({ draft, namespace, fields: { name = '' } }: EnforcementCall): Outcome {
  enforcementRows(draft, namespace.id).delete(name)
  return NOTHING
}

const LISTS = 'Lists all enforcements of the namespace.'
const WRITES = 'Makes an enforcement, or changes one.'

export const enforcementPaths: readonly PathSpec[] = [
  path({
    pattern: 'mfa/login-enforcement',
    help: { synopsis: 'All enforcements.', description: LISTS },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: LISTS,
        answer: shape.keys,
        run: ({ draft, namespace }) =>
          infoAnswer(
            enforcementsOf(draft, namespace.id).map(row => [row.name, shown(namespace, row)]),
          ),
      },
    },
  }),
  path({
    pattern: 'mfa/login-enforcement/{name}',
    help: {
      synopsis: 'Which logins are asked for a second factor.',
      description: 'A login that several enforcements mean must satisfy them all.',
    },
    fields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads an enforcement.', answer: enforcementShape, run: read },
      update: {
        ...{ summary: WRITES, run: write },
        examples: [{ mfa_method_ids: ['the-id-of-a-method'], auth_method_types: ['userpass'] }],
      },
      delete: { summary: 'Deletes an enforcement.', run: remove },
    },
  }),
]
