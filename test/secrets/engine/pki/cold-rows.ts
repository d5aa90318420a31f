/**
 * What lies among the cold rows of a test's secrets.
 */
import { toText } from '../../../../src/base/bytes.ts'
import { secretCold } from '../../../../src/store/tables/secret.ts'
import type { TestSecrets } from '../../harness.ts'

/** The last part of each key: the serial number of a certificate. */
export async function serialsOfCold({ store }: TestSecrets): Promise<readonly string[]> {
  const keys = await store.cold.keys(secretCold, '', { limit: 1_000 })
  return keys.map(key => toText(key).replace(/^.*\//, ''))
}
