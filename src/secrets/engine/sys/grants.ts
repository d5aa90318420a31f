/**
 * `sys/grants`: what tokens of the registry may do with secrets. Ours.
 *
 * Owns the paths alone. What a grant means is grant/grant.ts's.
 */
import { Refusal } from '../../../base/errors.ts'
import { NOTHING, type PathSpec, path } from '../../declare.ts'
import { list, str } from '../../field.ts'
import {
  allGrants,
  deleteGrant,
  grantNamespace,
  grantOf,
  putGrant,
  type RegistryTokens,
} from '../../grant/grant.ts'
import { keys, object, text, texts, time, timeOrNone } from '../../shape.ts'

const OFF = new Refusal(400, 'the registry has no tokens: its access control is off (acl.enabled)')

const help = {
  synopsis: 'What a token of the registry may do with secrets.',
  description:
    'Without a grant a token that the registry gave opens nothing here, whatever it may do there. A ' +
    'grant is sealed for that one token, and ends with it.',
}

/** The paths; `registry` is undefined where the registry has no tokens. */
export const grantPaths = (registry: RegistryTokens | undefined): PathSpec[] => [
  path({
    pattern: 'grants',
    help: { synopsis: 'Lists grants.', description: 'The accessors of tokens that have one.' },
    fields: {},
    access: 'privileged',
    isRootOnly: true,
    operations: {
      list: {
        summary: 'Lists the accessors of tokens of the registry that were granted something.',
        answer: keys,
        run({ draft }) {
          const accessors = allGrants(draft).map(({ row }) => row.accessor)
          return accessors.length === 0 ? NOTHING : { data: { keys: accessors.sort() } }
        },
      },
    },
  }),
  path({
    pattern: 'grants/{accessor}',
    help,
    fields: {
      accessor: str('The AccessorID of a token of the registry.'),
      policies: list('Policies that the token has here; `root` is none of them.'),
      namespace: str('The namespace of the policies; the root one unless given.'),
      entity_id: str('The entity, of the same namespace, whose policies it has as well.'),
    },
    access: 'privileged',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Shows what a token was granted.',
        answer: object({
          accessor: text,
          policies: texts,
          namespace: text,
          entity_id: text,
          granted_time: time,
          expire_time: timeOrNone,
        }),
        run({ draft, fields: { accessor = '' } }) {
          const grant = grantOf(draft, accessor.toLowerCase())
          if (grant === undefined) return NOTHING
          const { row } = grant
          return {
            data: {
              accessor: row.accessor,
              policies: row.policies,
              namespace: grantNamespace(draft, row) ?? '',
              entity_id: row.entityId,
              granted_time: new Date(row.grantedAtMs).toISOString(),
              expire_time: row.expiresAtMs === 0 ? '' : new Date(row.expiresAtMs).toISOString(),
            },
          }
        },
      },
      update: {
        summary: 'Grants a token something, instead of what it had.',
        examples: [{ policies: ['app-read'] }],
        run({ draft, fields: { accessor = '', policies = [], namespace = '', entity_id = '' } }) {
          if (registry === undefined) return OFF
          const granting = { policies, namespace, entityId: entity_id }
          return putGrant(draft, registry, accessor.toLowerCase(), granting) ?? NOTHING
        },
      },
      delete: {
        summary: 'Takes what a token was granted away, at once.',
        run({ draft, fields: { accessor = '' } }) {
          deleteGrant(draft, accessor.toLowerCase())
          return NOTHING
        },
      },
    },
  }),
]
