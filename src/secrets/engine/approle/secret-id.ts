/**
 * The paths of secret ids: `role/<name>/secret-id` and what is below it.
 *
 * Owns their declarations. Pure. Follows api-docs/auth/approle of Vault's docs.
 */

import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { any, dur, int, list, str, toSeconds } from '../../field.ts'
import { ttlsOf } from '../../mount/ttl.ts'
import * as shape from '../../shape.ts'
import { refuseCidrs } from '../../token/params.ts'
import { refuseWider } from './cidrs.ts'
import { tidySome } from './cleanup.ts'
import { readMetadata } from './metadata.ts'
import { roleOf } from './role.ts'
import {
  accessorOf,
  putSecretId,
  type RoleRow,
  type SecretIdRow,
  secretIdAt,
  secretIdsOf,
} from './rows.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const NAME = { role_name: str('The name of the role.') }

const newFields = {
  ...NAME,
  metadata: any('Text by text, as JSON: it comes to be the metadata of tokens.'),
  cidr_list: list("Addresses that logins may come from, within the role's."),
  token_bound_cidrs: list("Addresses that tokens may be used from, within the role's."),
  num_uses: int('How often it may be used, at most as the role says.'),
  ttl: dur('How long it lives, at most as the role says.'),
}

const customFields = {
  ...newFields,
  secret_id: str('The secret id, as somebody else drew it.', { isSecret: true }),
}

const newShape = shape.object({
  secret_id: shape.text,
  secret_id_accessor: shape.text,
  secret_id_ttl: shape.int,
  secret_id_num_uses: shape.int,
})

const quoted = ({ fields }: { fields: { role_name: string | undefined } }): string =>
  JSON.stringify(fields.role_name ?? '')
const noRole = (call: Call<typeof NAME>): Refusal =>
  new Refusal(404, `role ${quoted(call)} does not exist`)

/** Makes a secret id of a role. */
function make(call: Call<typeof newFields>, secretId: string): Outcome {
  const { draft, storage, mount, now, fields: said } = call
  const role = roleOf(call)
  if (role === undefined) return noRole(call)
  if (!role.bindSecretId) return bad('bind_secret_id is not set on the role')
  const metadata = readMetadata(said.metadata)
  if (metadata instanceof Refusal) return metadata
  const { cidr_list: cidrs = [], token_bound_cidrs: tokenCidrs = [] } = said
  const numUses = said.num_uses ?? role.secretIdNumUses
  const wishedMs = said.ttl ?? role.secretIdTtlMs
  const refused =
    refuseCidrs('cidr_list', cidrs) ??
    refuseCidrs('token_bound_cidrs', tokenCidrs) ??
    refuseWider(cidrs, role.secretIdCidrs) ??
    refuseWider(tokenCidrs, role.token.boundCidrs) ??
    refuseMore(role, numUses, wishedMs)
  if (refused !== undefined) return refused
  const ttlMs = Math.min(wishedMs, ttlsOf(draft, mount).maxMs)
  const accessor = accessorOf(draft, role, secretId)
  if (secretIdAt(storage, role, accessor, now) !== undefined) {
    return bad('failed to store secret_id: SecretID is already registered')
  }
  putSecretId(storage, role, {
    ...{ accessor, numUses, ttlMs, metadata, cidrs, tokenCidrs },
    expiresAtMs: ttlMs === 0 ? 0 : now + ttlMs,
    createdAtMs: now,
    updatedAtMs: now,
  })
  const data = {
    secret_id: secretId,
    secret_id_accessor: accessor,
    secret_id_ttl: toSeconds(ttlMs),
    secret_id_num_uses: numUses,
  }
  return { data, wrappedAccessor: accessor }
}

function refuseMore(role: RoleRow, numUses: number, ttlMs: number): Refusal | undefined {
  const { secretIdNumUses: maxUses, secretIdTtlMs: maxTtlMs } = role
  if (numUses < 0) return bad('num_uses cannot be negative')
  if (maxUses > 0 && (numUses === 0 || numUses > maxUses)) {
    return bad("num_uses cannot be higher than the role's secret_id_num_uses")
  }
  return maxTtlMs > 0 && (ttlMs === 0 || ttlMs > maxTtlMs)
    ? bad("ttl cannot be longer than the role's secret_id_ttl")
    : undefined
}

function makeCustom(call: Call<typeof customFields>): Outcome {
  const { secret_id: secretId = '' } = call.fields
  if (secretId === '') return bad('missing secret_id')
  return secretId.length > limits.secretIdChars
    ? bad(`secret_id is longer than ${limits.secretIdChars} characters`)
    : make(call, secretId)
}

const listFields = {
  ...newFields,
  after: str('List only what stands behind this accessor.'),
  limit: int('List at most so many; 0 for all.'),
}

function listAccessors(call: Call<typeof listFields>): Outcome {
  const role = roleOf(call)
  if (role === undefined) return bad(`role ${quoted(call)} does not exist`)
  const { after = '', limit = 0 } = call.fields
  const keys = call.storage.list(secretIdsOf(role), { after, limit })
  return keys.length === 0 ? NOTHING : { data: { keys } }
}

const entryShape = shape.object({
  secret_id_accessor: shape.text,
  secret_id_ttl: shape.int,
  secret_id_num_uses: shape.int,
  creation_time: shape.time,
  expiration_time: shape.time,
  last_updated_time: shape.time,
  metadata: shape.mapOf(shape.text),
  cidr_list: shape.texts,
  token_bound_cidrs: shape.texts,
})

/** What Go shows of a time that is none. */
const NEVER = '0001-01-01T00:00:00Z'
const timeOf = (timeMs: number): string => (timeMs === 0 ? NEVER : new Date(timeMs).toISOString())

const show = (row: SecretIdRow): Answer => ({
  data: {
    secret_id_accessor: row.accessor,
    secret_id_ttl: toSeconds(row.ttlMs),
    secret_id_num_uses: row.numUses,
    creation_time: timeOf(row.createdAtMs),
    expiration_time: timeOf(row.expiresAtMs),
    last_updated_time: timeOf(row.updatedAtMs),
    metadata: row.metadata,
    cidr_list: row.cidrs,
    token_bound_cidrs: row.tokenCidrs,
  },
})

const idFields = { ...NAME, secret_id: str('The secret id.', { isSecret: true }) }
const accessorFields = { ...NAME, secret_id_accessor: str('The accessor of the secret id.') }

/** The secret id that a request shows, with its role; undefined where it is none. */
function shown(call: Call<typeof idFields>) {
  const { secret_id: secretId = '' } = call.fields
  if (secretId === '') return bad('missing secret_id')
  const role = roleOf(call)
  if (role === undefined) return noRole(call)
  const { draft, storage, now } = call
  const row = secretIdAt(storage, role, accessorOf(draft, role, secretId), now)
  return { role, row }
}

function named(call: Call<typeof accessorFields>) {
  const { secret_id_accessor: accessor = '' } = call.fields
  if (accessor === '') return bad('missing secret_id_accessor')
  const role = roleOf(call)
  if (role === undefined) return noRole(call)
  const row = secretIdAt(call.storage, role, accessor, call.now)
  if (row !== undefined) return { role, row }
  const text = `failed to find accessor entry for secret_id_accessor: ${JSON.stringify(accessor)}`
  return new Refusal(404, text)
}

type Found = Refusal | { readonly role: RoleRow; readonly row: SecretIdRow | undefined }

const look = (found: Found): Outcome => {
  if (found instanceof Refusal) return found
  return found.row === undefined ? NOTHING : show(found.row)
}

function destroy({ storage }: Pick<Call, 'storage'>, found: Found): Outcome {
  if (found instanceof Refusal) return found
  if (found.row !== undefined) storage.delete(secretIdsOf(found.role) + found.row.accessor)
  return NOTHING
}

function tidy({ mount, now }: Call): Answer {
  const { namespaceId, uuid } = mount
  return {
    status: 202,
    warnings: [TIDIED],
    rest: draft => tidySome(draft.area(namespaceId, `mount.${uuid}`), now),
  }
}

const TIDIED = 'Tidy operation successfully started. What was over, or had lost its role, is gone.'
const DESTROYS = 'Ends a secret id: no login with it any more.'

export const secretIdPaths = [
  path({
    pattern: 'role/{role_name}/secret-id',
    help: { synopsis: 'Draws a secret id of a role.', description: 'Or lists their accessors.' },
    fields: listFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Draws a secret id.',
        answer: newShape,
        run: call => make(call, call.random.uuid()),
        examples: [{ metadata: '{"deployment": "blue"}', ttl: '10m' }],
      },
      list: { summary: 'Lists accessors.', answer: shape.keys, run: listAccessors },
    },
  }),
  path({
    pattern: 'role/{role_name}/custom-secret-id',
    help: { synopsis: 'Takes a secret id that somebody else drew.', description: 'For a role.' },
    fields: customFields,
    access: 'authorized',
    operations: { update: { summary: 'Takes a secret id.', answer: newShape, run: makeCustom } },
  }),
  path({
    pattern: 'role/{role_name}/secret-id/lookup',
    help: { synopsis: 'What is known of a secret id.', description: 'By itself.' },
    fields: idFields,
    access: 'authorized',
    operations: {
      update: {
        ...{ summary: 'Reads a secret id.', effect: 'reads', answer: entryShape },
        run: call => look(shown(call)),
      },
    },
  }),
  path({
    pattern: 'role/{role_name}/secret-id/destroy',
    help: { synopsis: 'Ends a secret id.', description: 'By itself.' },
    fields: idFields,
    access: 'authorized',
    operations: {
      update: { summary: DESTROYS, run: call => destroy(call, shown(call)) },
      delete: { summary: DESTROYS, run: call => destroy(call, shown(call)) },
    },
  }),
  path({
    pattern: 'role/{role_name}/secret-id-accessor/lookup',
    help: { synopsis: 'What is known of a secret id.', description: 'By its accessor.' },
    fields: accessorFields,
    access: 'authorized',
    operations: {
      update: {
        ...{ summary: 'Reads a secret id.', effect: 'reads', answer: entryShape },
        run: call => look(named(call)),
      },
    },
  }),
  path({
    pattern: 'role/{role_name}/secret-id-accessor/destroy',
    help: { synopsis: 'Ends a secret id.', description: 'By its accessor.' },
    fields: accessorFields,
    access: 'authorized',
    operations: {
      update: { summary: DESTROYS, run: call => destroy(call, named(call)) },
      delete: { summary: DESTROYS, run: call => destroy(call, named(call)) },
    },
  }),
  path({
    pattern: 'tidy/secret-id',
    help: {
      synopsis: 'Ends what is left of secret ids that are over.',
      description: 'They open nothing in any case; this only makes room.',
    },
    fields: {},
    access: 'authorized',
    operations: { update: { summary: 'Ends what is over.', run: tidy } },
  }),
]
