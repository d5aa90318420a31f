/**
 * What evaluating a condition may cost, counted in steps and never in time.
 *
 * Owns the count and the size of values. A step is about the work of one node of an expression; a
 * value counts by its length where something is done with all of it. Pure.
 */

/** Thrown where the steps are used up. */
export class OverBudget extends Error {
  override readonly name = 'OverBudget'

  constructor() {
    super('it takes too many steps')
  }
}

const CHARS_PER_STEP = 32

export class Meter {
  #left = 0

  /** Starts over with this many steps. */
  start(steps: number): void {
    this.#left = steps
  }

  /** How many are left; none where they are used up. */
  get left(): number {
    return Math.max(0, this.#left)
  }

  /** Whether more were asked for than there were. */
  get isSpent(): boolean {
    return this.#left < 0
  }

  /** Takes steps. Throws OverBudget where there are not so many. */
  charge(steps: number): void {
    this.#left -= steps
    if (this.#left < 0) throw new OverBudget()
  }

  /** Takes as many as a value is large; looks no further than what is left allows. */
  chargeFor(value: unknown): void {
    if (typeof value === 'string' || value instanceof Uint8Array) {
      this.charge(Math.ceil(value.length / CHARS_PER_STEP))
    } else if (isSized(value)) {
      this.charge(value.size)
      for (const item of value) {
        if (!Array.isArray(item)) this.chargeFor(item)
        else for (const part of item) this.chargeFor(part)
      }
    }
  }
}

/** Lists give their items, maps pairs. */
interface Sized extends Iterable<unknown> {
  readonly size: number
}

const isSized = (value: unknown): value is Sized =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Sized).size === 'number' &&
  typeof (value as Sized)[Symbol.iterator] === 'function'
