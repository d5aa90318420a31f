/**
 * External accounts (RFC 8555, 7.3.4) and what an operator sees of accounts.
 *
 * Owns their paths: keys that bind an account are given to who may, and each binds one. Pure.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { str } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import { momentText } from '../role/times.ts'
import { directoryFields, directoryOf, prefixes } from './directory.ts'
import { thumbprintOf } from './jws.ts'
import type { AcmePorts } from './ports.ts'
import { Problem } from './problem.ts'
import {
  accountAt,
  accountIds,
  deleteExternal,
  externalAt,
  externalIds,
  orderAt,
  orderIds,
  putAccount,
  putExternal,
  statusOf,
} from './rows.ts'

const external = shape.object({
  id: shape.text,
  key_type: shape.text,
  key: shape.text,
  acme_directory: shape.text,
  created_on: shape.time,
})

const keyFields = { key_id: str('The id of the key.') }
const accountFields = {
  keyid: str('The id of the account.'),
  status: str('The only one that may be said is revoked.'),
}

const account = shape.object({
  id: shape.text,
  status: shape.text,
  contacts: shape.texts,
  created_time: shape.time,
  directory: shape.text,
  thumbprint: shape.text,
  eab_key_id: shape.text,
  orders: shape.list(shape.anyObject),
})

/** The paths that tokens are asked for at. */
export const externalPaths = (ports: AcmePorts): readonly PathSpec[] => [
  ...prefixes.map(prefix =>
    path({
      pattern: `${prefix}acme/new-eab`,
      help: {
        synopsis: 'Makes a key for an external account.',
        description: 'It binds one account, in this directory.',
      },
      fields: directoryFields,
      access: 'authorized',
      operations: {
        update: { summary: 'Makes a key.', answer: external, run: call => makeKey(call, ports) },
      },
    }),
  ),
  path({
    pattern: 'eab',
    help: { synopsis: 'Keys of external accounts.', description: 'Those that bound nothing yet.' },
    fields: {},
    access: 'authorized',
    operations: { list: { summary: 'Lists them.', answer: shape.keys, run: listKeys } },
  }),
  path({
    pattern: 'eab/{key_id}',
    help: { synopsis: 'A key of an external account.', description: 'It is never shown again.' },
    fields: keyFields,
    access: 'authorized',
    operations: { delete: { summary: 'Takes it back.', run: removeKey } },
  }),
  path({
    pattern: 'acme/mgmt/account/keyid',
    help: { synopsis: 'All accounts.', description: 'By their ids.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists them.',
        answer: shape.keys,
        run: ({ storage }) => listOf(accountIds(storage)),
      },
    },
  }),
  path({
    pattern: 'acme/mgmt/account/keyid/{keyid}',
    help: { synopsis: 'An account.', description: 'What it is, and what it ordered.' },
    fields: accountFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads it.', answer: account, run: readAccount },
      update: {
        summary: 'Revokes it.',
        answer: account,
        run: revokeAccount,
        examples: [{ status: 'revoked' }],
      },
    },
  }),
]

const listOf = (keys: readonly string[]): Outcome =>
  keys.length === 0 ? NOTHING : { data: { keys } }

function makeKey(call: Call<typeof directoryFields>, ports: AcmePorts): Outcome {
  const directory = directoryOf(call, ports)
  if (directory instanceof Problem) return new Refusal(400, directory.text)
  const KEY_SIZE_BYTES = 32
  const key = call.random.bytes(KEY_SIZE_BYTES).toString('base64url')
  const id = call.random.uuid()
  putExternal(call.storage, { id, key, directory: directory.place, createdMs: call.now })
  const acme_directory = `${directory.place}acme/directory`
  const created_on = momentText(call.now)
  return { data: { id, key_type: 'hs', key, acme_directory, created_on } }
}

function listKeys({ storage }: Call): Outcome {
  const keys = externalIds(storage)
  if (keys.length === 0) return NOTHING
  const infos = keys.map(id => {
    const { directory, createdMs } = externalAt(storage, id)!
    const info = { key_type: 'hs', acme_directory: `${directory}acme/directory` }
    return [id, { ...info, created_on: momentText(createdMs) }] as const
  })
  return { data: { keys, key_info: Object.fromEntries(infos) } }
}

function removeKey({ storage, fields: { key_id: id = '' } }: Call<typeof keyFields>): Outcome {
  if (externalAt(storage, id) === undefined) {
    return { warnings: ['No key id found with id: the key may have been used'] }
  }
  deleteExternal(storage, id)
  return NOTHING
}

function readAccount({
  storage,
  now,
  fields: { keyid: id = '' },
}: Pick<Call<typeof accountFields>, 'storage' | 'now' | 'fields'>): Outcome {
  const row = accountAt(storage, id)
  if (row === undefined) return NOTHING
  const orders = orderIds(storage, id).map(orderId => {
    const order = orderAt(storage, id, orderId)!
    return {
      order_id: orderId,
      status: statusOf(storage, order, now),
      identifiers: order.identifiers.map(({ value, isWildcard }) =>
        isWildcard ? `*.${value}` : value,
      ),
      order_expiry: momentText(order.expiresMs),
      cert_serial_number: order.issued?.serial ?? '',
    }
  })
  return {
    data: {
      id,
      status: row.status,
      contacts: row.contacts,
      created_time: momentText(row.createdMs),
      directory: `${row.directory}acme/`,
      thumbprint: thumbprintOf(row.jwk),
      eab_key_id: row.binding?.id ?? '',
      orders,
    },
  }
}

function revokeAccount(call: Call<typeof accountFields>): Outcome {
  const { storage, now, fields } = call
  const row = accountAt(storage, fields.keyid ?? '')
  if (row === undefined) return new Refusal(404, 'there is no such account')
  if (fields.status !== 'revoked') return new Refusal(400, 'invalid status: only revoked')
  if (row.status !== 'revoked') putAccount(storage, { ...row, status: 'revoked', endedMs: now })
  return readAccount({ storage, now, fields })
}
