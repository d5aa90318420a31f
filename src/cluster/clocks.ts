/**
 * Comparing the wall clocks of servers: how far one is from the others, and what follows.
 *
 * Owns the arithmetic of one exchange and the judgement over all. A clock is held against the
 * middle of all that are known, its own among them, so that one that is wrong is told from those
 * that are right; where two are in the middle, against the one that is further off. Pure.
 */
import { limits } from '../base/limits.ts'

/** Two readings of both clocks of this server, around an answer with the other's wall clock. */
export interface Exchange {
  readonly sentMs: number
  readonly receivedMs: number
  /** The other's wall clock when it wrote its answer. */
  readonly theirWallMs: number
}

/**
 * By how much the other's wall clock leads this server's monotonic one, taken at the middle of the
 * exchange: so a jump of this server's wall clock does not make what was learnt wrong. Undefined
 * where the answer took so long that it says too little.
 */
export function leadOf({ sentMs, receivedMs, theirWallMs }: Exchange): number | undefined {
  const tookMs = receivedMs - sentMs
  if (tookMs < 0 || tookMs > limits.clockWarnMs) return undefined
  return theirWallMs - (sentMs + tookMs / 2)
}

export type ClockVerdict = 'fine' | 'apart' | 'wrong'

/** How far a clock is from the middle of all, in milliseconds; negative when it is behind. */
export function apartOf(own: number, others: readonly number[]): number {
  const all = [own, ...others].sort((a, b) => a - b)
  const last = all.length - 1
  const low = own - all[Math.floor(last / 2)]!
  const high = own - all[Math.ceil(last / 2)]!
  return Math.abs(low) >= Math.abs(high) ? low : high
}

/** What follows from how far a clock is off: it is told; or the server may not keep time. */
export function verdictOf(apartMs: number): ClockVerdict {
  const off = Math.abs(apartMs)
  if (off >= limits.clockRefuseMs) return 'wrong'
  return off >= limits.clockWarnMs ? 'apart' : 'fine'
}
