/**
 * The key/value engine: a mount says by its option `version` which of the two it is.
 *
 * Owns the choice alone; must not know how either keeps its secrets.
 */
import { Refusal } from '../../../base/errors.ts'
import type { Engine } from '../../declare.ts'
import { storageOf } from '../../mount/mount.ts'
import { kvV1Paths } from './v1.ts'
import { kvV2Paths } from './v2.ts'
import { configOf, putConfig } from './versioned.ts'

export const kvEngine: Engine = {
  type: 'kv',
  kind: 'secret',
  help: 'Keeps secrets that users write, by path.',
  isMountable: true,
  paths: ({ options }) => (options?.version === '2' ? kvV2Paths : kvV1Paths),
  checkOptions: ({ version = '1' }) =>
    version === '1' || version === '2' ? undefined : new Refusal(400, 'unknown kv version'),
  tuned(draft, before, after) {
    const [was, is] = [before.options?.version ?? '1', after.options?.version ?? '1']
    if (was === is) return undefined
    if (was === '2') return new Refusal(400, 'cannot downgrade mount from version 2')
    // What is there counts as the first version of each secret from now on.
    const storage = storageOf(draft, after)
    putConfig(storage, { ...configOf(storage), upgradedAtMs: draft.now })
    return undefined
  },
}
