/** The seal's rows as they lie, for tests that damage them. */
import type { Store } from '../../../src/store/store.ts'
import {
  BARRIER_KEY,
  type KeyringRow,
  keyrings,
  type SealRow,
  seals,
} from '../../../src/store/tables/seal.ts'

export const sealRowOf = (store: Store): SealRow => store.view().get(seals, BARRIER_KEY)!.row
export const keyringRowOf = (store: Store): KeyringRow =>
  store.view().get(keyrings, BARRIER_KEY)!.row
