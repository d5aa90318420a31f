/**
 * The key/value engine: a mount says by its option `version` which of the two it is.
 *
 * Owns the choice alone; must not know how either keeps its secrets.
 */
import type { Engine } from '../../declare.ts'
import { kvV1Paths } from './v1.ts'

export const kvEngine: Engine = {
  type: 'kv',
  kind: 'secret',
  help: 'Keeps secrets that users write, by path.',
  isMountable: true,
  paths: () => kvV1Paths,
}
