/**
 * Paths of what holds for all keys of a mount.
 *
 * Owns these paths' declarations and rows. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { type Call, type Outcome, type PathSpec, path } from '../../declare.ts'
import { bool, int } from '../../field.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'

const CACHE = 'config/cache'
const KEYS = 'config/keys'

interface CacheRow {
  readonly size: number
}

interface KeysRow {
  readonly disableUpsert: boolean
}

const cacheFields = { size: int('How many keys are kept ready; 0 for all.', { initial: 0 }) }
const keysFields = {
  disable_upsert: bool('Whether encrypting with a key that is not there makes none.', {
    initial: false,
  }),
}
const cacheShape = shape.object({ size: shape.int })
const keysShape = shape.object({ disable_upsert: shape.bool })

/** Whether encrypting with a key that is not there makes none. */
export const isUpsertDisabled = (storage: Storage): boolean =>
  storage.kept<KeysRow>(KEYS)?.disableUpsert ?? false

export const settingPaths: readonly PathSpec[] = [
  path({
    pattern: 'cache-config',
    help: {
      synopsis: 'How many keys are kept ready.',
      description: 'It is kept and told; keys are ready as long as they are there, whatever it is.',
    },
    fields: cacheFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Tells the size.', answer: cacheShape, run: readCache },
      update: {
        summary: 'Sets the size.',
        answer: cacheShape,
        run: writeCache,
        examples: [{ size: 0 }],
      },
    },
  }),
  path({
    pattern: 'config/keys',
    help: {
      synopsis: 'What holds for all keys.',
      description: 'Whether encrypting with a key that is not there makes it.',
    },
    fields: keysFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Tells what holds for all keys.', answer: keysShape, run: readKeys },
      update: {
        summary: 'Sets what holds for all keys.',
        answer: keysShape,
        run: writeKeys,
        examples: [{ disable_upsert: true }],
      },
    },
  }),
]

function readCache({ storage }: Call): Outcome {
  return { data: { size: storage.kept<CacheRow>(CACHE)?.size ?? 0 } }
}

function writeCache({ storage, fields }: Call<typeof cacheFields>): Outcome {
  const size = fields.size!
  const least = limits.transitCacheMinKeys
  if (size !== 0 && size < least) {
    return new Refusal(400, `size must be 0 or a value greater or equal to ${least}`)
  }
  storage.put(CACHE, { size } satisfies CacheRow)
  return { data: { size } }
}

function readKeys({ storage }: Call): Outcome {
  return { data: { disable_upsert: isUpsertDisabled(storage) } }
}

function writeKeys({ storage, fields }: Call<typeof keysFields>): Outcome {
  const disableUpsert = fields.disable_upsert!
  storage.put(KEYS, { disableUpsert } satisfies KeysRow)
  return { data: { disable_upsert: disableUpsert } }
}
