/**
 * Drawing pairs for keys that rotate by themselves, on the one server that holds the role
 * `secrets`.
 *
 * Owns the work of the queue (rotation.ts), one key at a time: threads draw, a transaction gives
 * the key its version if it is still due. What fails is tried again.
 */

import { messageOf, Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { limits } from '../../../base/limits.ts'
import type { Duty } from '../../../store/timekeeper.ts'
import { untilChanged } from '../../../store/until-changed.ts'
import type { DutyPorts } from '../../declare.ts'
import { draftNow, type Fenced, writeFenced } from '../../duty.run.ts'
import type { Draft } from '../../storage.ts'
import { drawFor, drawn, rotateKey } from './key/make.ts'
import { dueKey, type QueueRow, rotationQueue, storageAt } from './rotation.ts'

/** The duty of drawing. */
export const rotationDuty =
  (arithmetic: Arithmetic, ports: DutyPorts): Duty =>
  async (signal, fenced) => {
    const { store, clock } = ports
    while (!signal.aborted) {
      await rotateQueued(arithmetic, ports, fenced)
      await untilChanged({ scopes: store.scopes, clock }, [], limits.transitRotationTickMs, signal)
    }
  }

/** Gives a version to each key that waits for one. */
async function rotateQueued(
  arithmetic: Arithmetic,
  ports: DutyPorts,
  fenced: Fenced,
): Promise<void> {
  const draft = draftNow(ports)
  if (draft === undefined) return
  const queue = rotationQueue(draft)
  for (const at of queue.keys()) {
    try {
      const place = queue.get<QueueRow>(at)!
      const due = dueKey(draft, place)
      const pair = due && (await drawFor(arithmetic, due.row))
      const isWritten = await writeFenced(ports, fenced, draft.barrier, inside =>
        rotateOne(inside, at, place, pair),
      )
      if (!isWritten) throw new Error('another server keeps the time by now')
    } catch (error) {
      ports.log.warn('a key that is to rotate could not', { error: messageOf(error) })
    }
  }
}

/** Gives a key its version, where it is still due and of the type that was drawn for. */
function rotateOne(
  draft: Draft,
  at: string,
  place: QueueRow,
  pair: Parameters<typeof drawn>[2],
): void {
  const { random, now } = draft
  rotationQueue(draft).delete(at)
  const due = dueKey(draft, place)
  const ingredients = due && drawn(random, due.row, pair)
  if (due === undefined || ingredients instanceof Refusal) return
  const making = { storage: storageAt(draft, place), random, now }
  rotateKey(making, due.name, due.row, ingredients!)
}
