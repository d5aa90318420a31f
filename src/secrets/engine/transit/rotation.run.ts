/**
 * Drawing pairs for keys that rotate by themselves, on the one server that holds the role
 * `secrets`.
 *
 * Owns the work of the queue (rotation.ts), one key at a time: threads draw, a transaction gives
 * the key its version if it is still due. What fails is tried again.
 */
import { wallMs } from '../../../base/brand.ts'
import { messageOf, Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { limits } from '../../../base/limits.ts'
import type { Decide } from '../../../store/store.ts'
import type { Duty } from '../../../store/timekeeper.ts'
import { untilChanged } from '../../../store/until-changed.ts'
import type { Barrier } from '../../barrier/keyring.ts'
import type { DutyPorts } from '../../declare.ts'
import { Draft } from '../../storage.ts'
import { drawFor, drawn, rotateKey } from './key/make.ts'
import { dueKey, type QueueRow, rotationQueue, storageAt } from './rotation.ts'

type Fenced = Parameters<Duty>[1]

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
  const { store, clock, random, log } = ports
  const barrier = ports.barrier()
  if (barrier === undefined) return
  const draft = new Draft(store.view(), barrier, wallMs(clock.wall()), random)
  const queue = rotationQueue(draft)
  for (const at of queue.keys()) {
    try {
      const place = queue.get<QueueRow>(at)!
      const due = dueKey(draft, place)
      const pair = due && (await drawFor(arithmetic, due.row))
      const written = await store.write(fenced(rotateOne(barrier, at, place, pair)))
      if (written instanceof Refusal) throw new Error(written.text)
    } catch (error) {
      log.warn('a key that is to rotate could not', { error: messageOf(error) })
    }
  }
}

/** Gives a key its version, where it is still due and of the type that was drawn for. */
const rotateOne =
  (
    barrier: Barrier,
    at: string,
    place: QueueRow,
    pair: Parameters<typeof drawn>[2],
  ): Decide<undefined> =>
  (view, now, random) => {
    const draft = new Draft(view, barrier, now, random)
    rotationQueue(draft).delete(at)
    const due = dueKey(draft, place)
    const ingredients = due && drawn(random, due.row, pair)
    if (due !== undefined && !(ingredients instanceof Refusal)) {
      const making = { storage: storageAt(draft, place), random, now }
      rotateKey(making, due.name, due.row, ingredients!)
    }
    return { txn: draft.ops(), answer: undefined }
  }
