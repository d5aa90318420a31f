/**
 * A test's phone: it reads a secret from its URL, and shows the passcode of a time.
 *
 * Owns a reckoning of its own, by other means than the server's: a fault of that is not its too.
 */
import { createHmac } from 'node:crypto'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export class Phone {
  readonly #key: Buffer
  readonly #url: URL

  constructor(url: string) {
    this.#url = new URL(url)
    this.#key = fromBase32(this.#url.searchParams.get('secret') ?? '')
  }

  #said(name: string): string {
    return this.#url.searchParams.get(name) ?? ''
  }

  /** The key in base32, as people type it. */
  get secret(): string {
    return this.#said('secret')
  }

  /** What it shows at a time, so many periods later. */
  at(nowMs: number, periods = 0): string {
    const step = BigInt(Math.floor(nowMs / 1_000 / Number(this.#said('period'))) + periods)
    const counter = Buffer.from(step.toString(16).padStart(16, '0'), 'hex')
    const mac = createHmac(this.#said('algorithm'), this.#key).update(counter).digest()
    const at = mac.at(-1)! % 16
    const word = BigInt(`0x${mac.subarray(at, at + 4).toString('hex')}`) % 2n ** 31n
    return word
      .toString()
      .padStart(10, '0')
      .slice(-Number(this.#said('digits')))
  }
}

function fromBase32(text: string): Buffer {
  const bits = [...text]
    .map(letter => LETTERS.indexOf(letter).toString(2).padStart(5, '0'))
    .join('')
  return Buffer.from(bits.match(/.{8}/g)?.map(byte => Number.parseInt(byte, 2)) ?? [])
}
