/**
 * Drawing pairs for keys that rotate by themselves, on the one server that holds the role
 * `secrets`.
 *
 * Owns the work of a queue (rotation.ts), one key at a time: threads draw, a transaction gives the
 * key its pair if it is still due. What fails is tried again.
 */

import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Duty } from '../store/timekeeper.ts'
import { untilChanged } from '../store/until-changed.ts'
import type { RowPlace } from './deadline.ts'
import type { DutyPorts } from './declare.ts'
import { draftNow, type Fenced, writeFenced } from './duty.run.ts'
import { type PairRotation, queueOf } from './rotation.ts'

/** The duty of drawing for the keys of an engine. */
export const rotationDuty =
  <D>(rotation: PairRotation<D>, ports: DutyPorts): Duty =>
  async (signal, fenced) => {
    const { store, clock } = ports
    while (!signal.aborted) {
      await rotateQueued(rotation, ports, fenced)
      await untilChanged({ scopes: store.scopes, clock }, [], limits.keyRotationTickMs, signal)
    }
  }

/** Gives a pair to each key that waits for one. */
async function rotateQueued<D>(
  rotation: PairRotation<D>,
  ports: DutyPorts,
  fenced: Fenced,
): Promise<void> {
  const draft = draftNow(ports)
  if (draft === undefined) return
  const queue = queueOf(draft, rotation)
  for (const at of queue.keys()) {
    try {
      const place = queue.get<RowPlace>(at)!
      const due = rotation.due(draft, place)
      const pair = due && (await rotation.draw(due))
      const isWritten = await writeFenced(ports, fenced, draft.barrier, inside => {
        queueOf(inside, rotation).delete(at)
        const still = rotation.due(inside, place)
        if (still !== undefined) rotation.rotate(inside, still, place, pair)
      })
      if (!isWritten) throw new Error('another server keeps the time by now')
    } catch (error) {
      ports.log.warn('a key that is to rotate could not', { error: messageOf(error) })
    }
  }
}
