/** Stands in for the cold rows of an engine that has none. */
import type { ColdDisk } from '../../src/store/local.ts'

export const noCold: ColdDisk = {
  read: () => Promise.resolve([]),
  freeze: () => ({
    read: () => Promise.resolve([]),
    prove: () => Promise.resolve(0),
    release: () => Promise.resolve(),
  }),
}
