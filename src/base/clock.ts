/**
 * Clock, timers and randomness as ports, so that a whole cluster can run under one seed.
 *
 * Owns the only reads of the system's clocks. Nothing else in src may call Date.now,
 * performance.now, setTimeout or Math.random (a tidy test says so).
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { type MonotonicMs, monotonicMs, type WallMs, wallMs } from './brand.ts'

/** A timer that was set; `clear` is safe to call twice and after it fired. */
export interface Timer {
  clear(): void
}

export interface Clock {
  /** Never goes back. For deadlines and ages. */
  monotonic(): MonotonicMs
  /** May jump. For times that are shown or stored. */
  wall(): WallMs
  /** Calls `run` once after `delayMs` (at least); the system's does not hold the process open. */
  after(delayMs: number, run: () => void): Timer
}

export interface Random {
  /** A v4 UUID. */
  uuid(): string
  /** A number in [0, 1). */
  fraction(): number
  bytes(sizeBytes: number): Buffer
}

const MAX_TIMER_MS = 2 ** 31 - 1

let pendingTimers = 0

/** How many timers of the real clock are set: what is never cleared nor fires shows here. */
export const timersSet = (): number => pendingTimers

function machineClock(isHolding: boolean): Clock {
  return {
    monotonic: () => monotonicMs(performance.now()),
    wall: () => wallMs(Date.now()),
    after(delayMs, run) {
      let isSet = true
      pendingTimers++
      const over = (): void => {
        if (isSet) pendingTimers--
        isSet = false
      }
      const fire = (): void => {
        over()
        run()
      }
      const handle = setTimeout(fire, Math.min(Math.max(0, delayMs), MAX_TIMER_MS))
      if (!isHolding) handle.unref()
      return {
        clear() {
          over()
          clearTimeout(handle)
        },
      }
    },
  }
}

/** The real clock of this machine. */
export const systemClock: Clock = machineClock(false)

/** The same, whose timers hold the process open: for a command that has nothing but to wait. */
export const foregroundClock: Clock = machineClock(true)

/** Real randomness, from the system's entropy. */
export const systemRandom: Random = {
  uuid: () => randomUUID(),
  fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  bytes: drawn,
}

const POOL_SIZE_BYTES = 4_096
const POOLED_SIZE_BYTES = 64
let pool = Buffer.alloc(0)

/** A call into the system costs more than a few bytes are worth: those come from a pool. */
function drawn(sizeBytes: number): Buffer {
  if (sizeBytes > POOLED_SIZE_BYTES) return randomBytes(sizeBytes)
  if (pool.length < sizeBytes) pool = randomBytes(POOL_SIZE_BYTES)
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  pool.copy(bytes)
  // What was given out is nobody else's.
  pool.fill(0, 0, sizeBytes)
  pool = pool.subarray(sizeBytes)
  return bytes
}

/** Waits `delayMs` by the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise(resolve => {
    clock.after(delayMs, resolve)
  })
}
