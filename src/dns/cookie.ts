/**
 * DNS cookies (RFC 7873): a proof that an asker receives what is sent to his address.
 *
 * Owns the secret, made at the start, and the form of the server's part: that of RFC 9018 §4 with
 * HMAC-SHA-256 for its hash, since no other server has to check it. Nothing is kept for an asker.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock, Random } from '../base/clock.ts'
import {
  CLIENT_COOKIE_SIZE_BYTES,
  type Question,
  SERVER_COOKIE_SIZE_BYTES,
} from '../wire/dns/mod.ts'

const SECRET_SIZE_BYTES = 32
const VERSION = 1
const HASH_AT = 8
/** RFC 9018 §4.3: "more than 1 hour in the past, or 5 minutes in the future". */
const OLDEST_S = 3_600
const NEWEST_S = 300

export class Cookies {
  readonly #clock: Clock
  readonly #secret: Buffer

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#secret = random.bytes(SECRET_SIZE_BYTES)
  }

  /**
   * Puts a cookie into the answer to a question that came with one. True when the asker showed
   * one of ours that is his and not too old.
   */
  exchange(query: Buffer, question: Question, address: string): boolean {
    const { cookieOffset: at, cookieSizeBytes: sizeBytes, serverCookie } = question
    if (at === 0) return false
    const nowS = Math.floor(this.#clock.wall() / 1_000) >>> 0
    const client = query.subarray(at, at + CLIENT_COOKIE_SIZE_BYTES)
    const shown = query.subarray(at + CLIENT_COOKIE_SIZE_BYTES, at + sizeBytes)
    serverCookie.fill(0)
    serverCookie[0] = VERSION
    serverCookie.writeUInt32BE(nowS, 4)
    this.#hash(client, serverCookie, address).copy(serverCookie, HASH_AT)
    question.hasServerCookie = true
    if (shown.length !== SERVER_COOKIE_SIZE_BYTES || shown[0] !== VERSION) return false
    // Serial number arithmetic: times wrap around.
    const ageS = (nowS - shown.readUInt32BE(4)) | 0
    if (ageS > OLDEST_S || ageS < -NEWEST_S) return false
    return timingSafeEqual(this.#hash(client, shown, address), shown.subarray(HASH_AT))
  }

  #hash(client: Buffer, server: Buffer, address: string): Buffer {
    const hash = createHmac('sha256', this.#secret)
    hash.update(client).update(server.subarray(0, HASH_AT)).update(address)
    return hash.digest().subarray(0, SERVER_COOKIE_SIZE_BYTES - HASH_AT)
  }
}
