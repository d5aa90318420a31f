/**
 * Feature levels: what servers of different versions may write, so that each can read it.
 *
 * Owns the number of this program, the rise once every server agrees, and the refusal of a server
 * that does not speak what is written. A level is a whole number; each names one change of what
 * rows look like. Pure.
 */
import type { Bytes } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { type Decision, put } from '../store/store.ts'
import {
  activeLevel,
  FEATURE_KEY,
  FIRST_LEVEL,
  features,
  ServerState,
  servers,
} from '../store/tables/server.ts'
import type { Reader } from '../store/view.ts'

/** The levels that a program reads and writes, all between them included. */
export interface Levels {
  readonly lowest: number
  readonly highest: number
}

/** Those of this program. The next version has the next `highest`, and keeps `lowest` one below. */
export const ownLevels: Levels = { lowest: FIRST_LEVEL, highest: FIRST_LEVEL }

/** Why a server of these levels must not open the store; undefined where it may. */
export function refuseLevel(
  view: Pick<Reader, 'get'>,
  { lowest, highest }: Levels,
): Refusal | undefined {
  const active = activeLevel(view)
  if (active > highest) {
    const text =
      `this server is too old: it reads feature levels up to ${highest}, and level ${active} is ` +
      'written already. Start a version that is at least as new as the other servers'
    return new Refusal(409, text)
  }
  if (active < lowest) {
    const text =
      `this server is too new: it reads feature levels from ${lowest} on, and level ${active} is ` +
      'written. Upgrade all servers to the version between first'
    return new Refusal(409, text)
  }
  return undefined
}

/** Why a row of an archive must not be restored by a server of these levels. */
export function archiveProblem(
  { key, body }: { readonly key: Bytes; readonly body: Buffer },
  { highest }: Levels,
): string | undefined {
  if (key !== features.prefix + FEATURE_KEY) return undefined
  const { level } = features.codec.decode(body)
  if (level <= highest) return undefined
  return `the snapshot is of feature level ${level}, and this server reads up to ${highest}`
}

/** Raises the level to the highest that every server speaks; only those that left do not count. */
export function raiseLevel(view: Reader): Decision<number> {
  const spoken = view
    .prefix(servers, '')
    .filter(({ row }) => row.state !== ServerState.left)
    .map(({ row }) => row.level)
  const active = activeLevel(view)
  const agreed = spoken.length === 0 ? active : Math.min(...spoken)
  if (agreed <= active) return { txn: [], answer: active }
  return { txn: [put(features, FEATURE_KEY, { level: agreed })], answer: agreed }
}
