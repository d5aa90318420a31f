/**
 * The paths of keys: `identity/oidc/key`.
 *
 * Owns their declarations and rules. Pure but for pairs that are drawn before the transaction.
 * Follows api-docs/secret/identity/tokens of Vault's docs.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { limits } from '../../../../base/limits.ts'
import {
  type Call,
  NOTHING,
  type Outcome,
  type PathSpec,
  path,
  prepared,
} from '../../../declare.ts'
import { dur, list, str, toSeconds } from '../../../field.ts'
import { ALGORITHMS, isAlgorithm } from '../../../oidc/algorithm.ts'
import { clientAt } from '../../../oidc/client.ts'
import { drawDefault, drawPairs } from '../../../oidc/draw.run.ts'
import {
  addDefault,
  DEFAULT_KEY,
  isFull,
  type KeyWish,
  keyAt,
  needsPairs,
  PAIRS,
  putKey,
  rotatedKey,
  shapedKey,
  wishAt,
} from '../../../oidc/key.ts'
import { roleAt } from '../../../oidc/role.ts'
import { DEFAULT, isName, keyRows, namesOf, usersOf } from '../../../oidc/rows.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import { keysAnswer } from '../../kv/v1.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const name = str('Name of the key.')
const keyFields = {
  name,
  rotation_period: dur('How often a new pair signs; a minute at least. 24h unless said.'),
  verification_ttl: dur(
    'How long the public key is told after it went out of use: up to ten rotations. 24h unless said.',
  ),
  algorithm: str(`${ALGORITHMS.join(', ')}; RS256 unless said.`),
  allowed_client_ids: list(
    'Ids of the clients whose tokens it signs, `*` for all. None unless said.',
  ),
}
const rotateFields = {
  name,
  verification_ttl: dur('How long the public key is told yet; as the key says unless said here.'),
}
type KeyCall = Call<typeof keyFields>

const keyShape = shape.object({
  rotation_period: shape.int,
  verification_ttl: shape.int,
  algorithm: shape.text,
  allowed_client_ids: shape.texts,
})

export const keyPaths = (arithmetic: Arithmetic): PathSpec[] => [
  path({
    pattern: 'oidc/key',
    help: { synopsis: 'The names of all keys that sign tokens.', description: 'Lists them.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists all keys.',
        answer: shape.keys,
        run: ({ draft, namespace }) => keysAnswer(namesOf(keyRows(draft, namespace.id), DEFAULT)),
      },
    },
  }),
  path({
    pattern: 'oidc/key/{name}',
    help: {
      synopsis: 'A key that signs tokens.',
      description:
        'Makes, changes, tells of and deletes it. `default` is there from the start; its pairs are drawn when it is first used.',
    },
    fields: keyFields,
    access: 'authorized',
    exists: ({ draft, namespace, fields }) =>
      wishAt(draft, namespace.id, fields.name!) !== undefined,
    operations: {
      read: { summary: 'Tells of a key.', answer: keyShape, run: read },
      update: prepared<typeof keyFields, readonly KeyObject[]>({
        summary: 'Makes or changes a key. Another algorithm has new pairs.',
        prepare: call => drawWished(arithmetic, call),
        run: write,
        examples: [{ algorithm: 'ES256', rotation_period: '12h', allowed_client_ids: ['*'] }],
      }),
      delete: { summary: 'Deletes a key that nothing is signed with.', run: remove },
    },
  }),
  path({
    pattern: 'oidc/key/{name}/rotate',
    help: {
      synopsis: 'Rotates a key.',
      description: 'The pair that was told as the next one signs from now on.',
    },
    fields: rotateFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof rotateFields, readonly KeyObject[]>({
        summary: 'Has the next pair sign.',
        prepare({ draft, namespace, fields }) {
          const row = keyAt(draft, namespace.id, fields.name!)
          if (row !== undefined) return drawPairs(arithmetic, row.algorithm, 1)
          return drawDefault(arithmetic, draft, namespace.id, fields.name!)
        },
        run: rotate,
      }),
    },
  }),
]

function read({ draft, namespace, fields }: KeyCall): Outcome {
  if (!isName(fields.name!)) return UNSUPPORTED_PATH
  const key = wishAt(draft, namespace.id, fields.name!)
  if (key === undefined) return NOTHING
  return {
    data: {
      rotation_period: toSeconds(key.rotationMs),
      verification_ttl: toSeconds(key.verificationMs),
      algorithm: key.algorithm,
      allowed_client_ids: key.allowedClientIds,
    },
  }
}

/** A key as a request wishes it, over what it is. */
function wishOf({ draft, namespace, fields, given }: KeyCall): KeyWish | Refusal {
  const name = fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  const before = wishAt(draft, namespace.id, name)
  const initial = before ?? { ...DEFAULT_KEY, allowedClientIds: [] }
  const algorithm = given('algorithm') ? fields.algorithm! : initial.algorithm
  const wish = {
    rotationMs: fields.rotation_period ?? initial.rotationMs,
    verificationMs: fields.verification_ttl ?? initial.verificationMs,
    allowedClientIds: fields.allowed_client_ids ?? initial.allowedClientIds,
  }
  if (wish.rotationMs < limits.oidcRotationMinMs) {
    return bad('rotation_period must be at least one minute')
  }
  if (wish.verificationMs > 10 * wish.rotationMs) {
    return bad('verification_ttl cannot be longer than 10x rotation_period')
  }
  if (!isAlgorithm(algorithm)) {
    return bad(`unknown signing algorithm ${JSON.stringify(algorithm)}`)
  }
  if (wish.allowedClientIds.length > limits.oidcListItems) {
    return bad(`allowed_client_ids has more than ${limits.oidcListItems} items`)
  }
  return refuseUsed(draft, namespace.id, name, wish.verificationMs) ?? { ...wish, algorithm }
}

/** The refusal of a time that is shorter than tokens of a role or a client live. */
function refuseUsed(
  draft: KeyCall['draft'],
  namespaceId: string,
  key: string,
  verificationMs: number,
): Refusal | undefined {
  const isLonger = (ttlMs = 0): boolean => ttlMs > verificationMs
  const roles = usersOf(draft, namespaceId, key, 'role')
  const clients = usersOf(draft, namespaceId, key, 'client')
  const refused = (whose: string): Refusal =>
    bad(
      `unable to update key ${JSON.stringify(key)} because it is currently referenced by one or more ${whose} greater than ${toSeconds(verificationMs)} seconds`,
    )
  if (roles.some(name => isLonger(roleAt(draft, namespaceId, name)?.ttlMs))) {
    return refused('roles with a token ttl')
  }
  return clients.some(name => isLonger(clientAt(draft, namespaceId, name)?.idTokenTtlMs))
    ? refused('clients with an id_token_ttl')
    : undefined
}

function drawWished(
  arithmetic: Arithmetic,
  call: KeyCall,
): Promise<readonly KeyObject[]> | readonly KeyObject[] | Refusal {
  const wish = wishOf(call)
  if (wish instanceof Refusal) return wish
  const { draft, namespace, fields } = call
  const row = keyAt(draft, namespace.id, fields.name!)
  return needsPairs(row, wish) ? drawPairs(arithmetic, wish.algorithm, PAIRS) : []
}

function write(call: Call<typeof keyFields, readonly KeyObject[]>): Outcome {
  const { draft, namespace, fields } = call
  const wish = wishOf(call as never)
  if (wish instanceof Refusal) return wish
  const before = keyAt(draft, namespace.id, fields.name!)
  if (before === undefined) {
    const names = keyRows(draft, namespace.id).keys('', limits.oidcKeys)
    if (names.length >= limits.oidcKeys) {
      return bad(`a namespace has at most ${limits.oidcKeys} keys`)
    }
  }
  const row = shapedKey(draft, before, wish, call.prepared)
  if (row instanceof Refusal) return row
  putKey(draft, namespace.id, fields.name!, row)
  return NOTHING
}

/** How many names a refusal tells. */
const TOLD_NAMES = 20

function remove({ draft, namespace, fields }: KeyCall): Outcome {
  const name = fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  if (name === DEFAULT) return bad(`deletion of key ${JSON.stringify(name)} not allowed`)
  for (const kind of ['role', 'client'] as const) {
    const users = usersOf(draft, namespace.id, name, kind, TOLD_NAMES)
    if (users.length > 0) {
      return bad(
        `unable to delete key ${JSON.stringify(name)} because it is currently referenced by these ${kind}s: ${users.join(', ')}`,
      )
    }
  }
  keyRows(draft, namespace.id).delete(name)
  return NOTHING
}

function rotate(call: Call<typeof rotateFields, readonly KeyObject[]>): Outcome {
  const { draft, namespace, fields, prepared: pairs } = call
  const name = fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  const row = keyAt(draft, namespace.id, name)
  if (row === undefined) {
    if (name !== DEFAULT) return bad(`no named key found at ${JSON.stringify(name)}`)
    return addDefault(draft, namespace.id, name, pairs) ?? NOTHING
  }
  const forMs = fields.verification_ttl ?? row.verificationMs
  if (forMs > 0 && isFull(row, draft.now)) {
    return bad(
      `the key has ${limits.oidcRetiredKeys} public keys out of use already: rotate it with verification_ttl=0, or wait`,
    )
  }
  const rotated = rotatedKey(draft, row, pairs[0], forMs)
  if (rotated instanceof Refusal) return rotated
  putKey(draft, namespace.id, name, rotated)
  return NOTHING
}
