/**
 * The key/value engine, version 1: what is written is what is read (Vault's API, `kv` version 1).
 *
 * Owns its paths. A value replaces the one before it as a whole. Pure.
 */

import { Refusal } from '../../../base/errors.ts'
import { stringifyExact } from '../../../base/exact-json.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { int, type JsonObject, str, toDurationMs, toSeconds } from '../../field.ts'
import { ttlsOf } from '../../mount/ttl.ts'
import { anyObject, keys } from '../../shape.ts'

const fields = {
  path: str('Location of the secret.'),
  after: str('List only what stands behind this key.'),
  limit: int('List at most so many keys; 0 for all.'),
}

const entry = path({
  pattern: '{path*}',
  help: {
    synopsis: 'Keeps a secret at a path.',
    description:
      'The data of a request is kept as it is; `ttl` or `lease` in it are told as the time to read again after.',
  },
  fields,
  access: 'authorized',
  takesAnyField: true,
  exists: ({ storage, path: at }) => storage.has(PLAIN + at),
  operations: {
    read: { summary: 'Reads a secret.', answer: anyObject, run: read },
    update: { summary: 'Writes a secret.', run: write, examples: [{ password: 'example' }] },
    delete: { summary: 'Deletes a secret.', run: remove },
    list: { summary: 'Lists keys and folders.', answer: keys, run: list },
    scan: { summary: 'Lists all keys below a folder.', answer: keys, run: scan },
  },
})

/** Where secrets without versions lie, in a mount that gets versions later too. */
export const PLAIN = 'plain/'

export const kvV1Paths = [entry]

function read({ draft, storage, path: at, mount }: Call<typeof fields>): Outcome {
  const text = storage.text(PLAIN + at)
  if (text === undefined) return NOTHING
  const durationS = adviceS(text) ?? toSeconds(ttlsOf(draft, mount).defaultMs)
  return { dataText: text, lease: { id: '', renewable: false, durationS } }
}

/** What a secret says of how long it may be kept: its `ttl`, or `lease`. */
function adviceS(text: string): number | undefined {
  if (!text.includes('"ttl"') && !text.includes('"lease"')) return undefined
  const value = JSON.parse(text) as JsonObject
  for (const name of ['ttl', 'lease']) {
    if (!Object.hasOwn(value, name)) continue
    const ttlMs = toDurationMs(value[name]!)
    if (ttlMs !== undefined) return Math.floor(ttlMs / 1_000)
  }
  return undefined
}

function write({ storage, path: at, data }: Call<typeof fields>): Outcome {
  if (Object.keys(data).length === 0) return new Refusal(400, 'missing data fields')
  storage.put(PLAIN + at, data)
  return NOTHING
}

function remove({ storage, path: at }: Call<typeof fields>): Outcome {
  storage.delete(PLAIN + at)
  return NOTHING
}

export const folderOf = (at: string): string => (at === '' ? '' : `${at}/`)

function list({ storage, path: at, fields: { after, limit } }: Call<typeof fields>): Outcome {
  return keysAnswer(storage.list(PLAIN + folderOf(at), { after: after ?? '', limit: limit ?? 0 }))
}

function scan({
  storage,
  path: at,
  fields: { after = '', limit = 0 },
}: Call<typeof fields>): Outcome {
  const found = storage.keys(PLAIN + folderOf(at)).filter(key => key > after)
  return keysAnswer(limit > 0 ? found.slice(0, limit) : found)
}

export const keysAnswer = (found: readonly string[]): Answer =>
  found.length === 0 ? NOTHING : { dataText: stringifyExact({ keys: found }) }
