/**
 * Keys that rotate by themselves, and versions that go after them: what the timekeeper ends.
 *
 * Owns the rules behind both deadlines. Bytes are drawn as a key is over; for a pair it waits in a
 * queue (../../rotation.ts). Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import type { RowEnd, RowPlace } from '../../deadline.ts'
import { enqueue, type PairRotation, storageAt } from '../../rotation.ts'
import type { Draft } from '../../storage.ts'
import { drawFor, drawn, rotateKey, rotationOf } from './key/make.ts'
import { isSymmetric, typeOf } from './key/type.ts'
import { type KeyRow, keyAt, nameAt, REMOVAL, ROTATION, removeSome } from './rows.ts'

interface Due {
  readonly name: string
  readonly row: KeyRow
}

/** The key at a place, where its next version is due; its name beside it. */
function dueKey(draft: Draft, place: RowPlace): Due | undefined {
  const storage = storageAt(draft, place)
  const name = nameAt(place.path)
  const row = name === undefined ? undefined : keyAt(storage, name)
  if (row === undefined) return undefined
  const dueMs = rotationOf(storage, row)
  return dueMs === undefined || dueMs > draft.now ? undefined : { name: name!, row }
}

const QUEUE = { queue: 'transit-rotations' }

/** What is drawn for keys of pairs. */
export const transitRotation = (arithmetic: Arithmetic): PairRotation<Due> => ({
  ...QUEUE,
  due: dueKey,
  draw: ({ row }) => drawFor(arithmetic, row),
  rotate(draft, { name, row }, place, pair) {
    const { random, now } = draft
    const ingredients = drawn(random, row, pair)
    if (ingredients instanceof Refusal) return
    rotateKey({ storage: storageAt(draft, place), random, now }, name, row, ingredients)
  },
})

const rotationEnd: RowEnd = {
  kind: ROTATION,
  end(draft, place) {
    const due = dueKey(draft, place)
    if (due === undefined) return
    const { name, row } = due
    if (!isSymmetric(typeOf(row))) {
      enqueue(draft, QUEUE, place)
      return
    }
    const { random, now } = draft
    const ingredients = drawn(random, row, undefined)
    if (ingredients instanceof Refusal) return
    rotateKey({ storage: storageAt(draft, place), random, now }, name, row, ingredients)
  },
}

const removalEnd: RowEnd = {
  kind: REMOVAL,
  end: (draft, place) => removeSome(storageAt(draft, place), place.path, draft.now),
}

export const transitEnds: readonly RowEnd[] = [rotationEnd, removalEnd]
