/**
 * How many answers a network gets over UDP in a second (response rate limiting).
 *
 * Owns one counter for each hash of a network: /24 of IPv4, /64 of IPv6. The table has one size for
 * ever and forgets every second. What is too much is dropped or, every other time, answered by TC
 * alone, so that an asker whose address others forge gets through by TCP.
 */
import type { Clock, Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'

export const Judgement = { send: 'send', slip: 'slip', drop: 'drop' } as const
export type Judgement = (typeof Judgement)[keyof typeof Judgement]

const MAPPED = '::ffff:'
const FIRST_COLONS = 4

export class ResponseRate {
  readonly #perSecond: number
  readonly #clock: Clock
  readonly #counts = new Uint32Array(limits.dnsRateSlots)
  /** Unknown to askers, who could otherwise choose whom to share a counter with. */
  readonly #seed: number
  #second = 0

  constructor(perSecond: number, clock: Clock, random: Random) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#seed = random.bytes(4).readUInt32LE(0)
  }

  /** Counts one more answer to an address, and says what to do with it. */
  judge(address: string): Judgement {
    const second = Math.floor(this.#clock.monotonic() / 1_000)
    if (second !== this.#second) {
      this.#counts.fill(0)
      this.#second = second
    }
    const slot = this.#slotOf(address)
    const count = this.#counts[slot]! + 1
    this.#counts[slot] = count
    if (count <= this.#perSecond) return Judgement.send
    return (count - this.#perSecond) % 2 === 0 ? Judgement.slip : Judgement.drop
  }

  /** FNV-1a over the text of the network, finished as murmur3 does. */
  #slotOf(address: string): number {
    const start = address.startsWith(MAPPED) ? MAPPED.length : 0
    const end = networkEnd(address, start)
    let hash = this.#seed
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ address.charCodeAt(at), 0x01000193)
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return ((hash ^ (hash >>> 16)) >>> 0) % limits.dnsRateSlots
  }
}

/** Where the text of the network ends: at the last dot, the fourth colon, or `::`. */
function networkEnd(address: string, start: number): number {
  const dot = address.lastIndexOf('.')
  if (dot >= start) return dot
  let colon = start - 1
  for (let count = 0; count < FIRST_COLONS; count++) {
    const next = address.indexOf(':', colon + 1)
    if (next < 0) return address.length
    if (next === colon + 1) return next
    colon = next
  }
  return colon
}
