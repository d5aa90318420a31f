/**
 * Accessors: what a token is called by whoever may not know its secret.
 *
 * Owns the way between an accessor and the hash that the token's row is found by: one is the other
 * in a disguise that only the barrier sees through, so that an accessor needs no row. Neither tells
 * anything of the secret. Pure.
 */

import { BASE62 } from '../../base/base62.ts'
import type { Barrier } from '../barrier/keyring.ts'
import { namespaceIdIn, suffixOf, type TokenPlace } from './token.ts'

const ACCESSOR_CHARS = 24
/** What 128 bits take in letters and digits; the others tell an accessor from a guess. */
const BLOCK_CHARS = 22
const CHECK_CHARS = ACCESSOR_CHARS - BLOCK_CHARS
const BLOCK_HEX_CHARS = 32
/** Rounds of a Feistel cipher: four look like any permutation (Luby and Rackoff, 1988). */
const ROUNDS = 4

/** The accessor of the token with a hash, in a namespace. */
export function accessorOf(barrier: Barrier, { hash, namespaceId }: TokenPlace): string {
  const block = Uint32Array.from([0, 8, 16, 24], at => Number.parseInt(hash.slice(at, at + 8), 16))
  let hashed = ''
  for (let round = 0; round < ROUNDS; round++) hashed = mix(barrier, round, block)
  return checkIn(hashed) + digitsOf(block) + suffixOf(namespaceId)
}

/** Where the row of an accessor lies; undefined for what is none. */
export function placeOfAccessor(barrier: Barrier, accessor: string): TokenPlace | undefined {
  const [text = ''] = accessor.split('.')
  if (text.length !== ACCESSOR_CHARS) return undefined
  const block = blockOf(text.slice(CHECK_CHARS))
  if (block === undefined) return undefined
  let hashed = ''
  for (let round = ROUNDS - 1; round >= 0; round--) {
    const last = mix(barrier, round, block)
    if (round === ROUNDS - 1) hashed = last
  }
  if (checkIn(hashed) !== text.slice(0, CHECK_CHARS)) return undefined
  const hash = [...block].map(word => word.toString(16).padStart(8, '0')).join('')
  return { namespaceId: namespaceIdIn(accessor), hash }
}

/**
 * One round, either way: each changes one half by the other, in turn. Gives the hash that it was
 * changed by.
 */
function mix(barrier: Barrier, round: number, block: Uint32Array): string {
  const [changed, other] = round % 2 === 0 ? [0, 2] : [2, 0]
  const hashed = barrier.hashOf(`accessor ${round}\0${block[other]} ${block[other + 1]}`)
  block[changed]! ^= Number.parseInt(hashed.slice(0, 8), 16)
  block[changed + 1]! ^= Number.parseInt(hashed.slice(8, 16), 16)
  return hashed
}

/** Of what the last round hashed, a part that the round does not use. */
const checkIn = (hashed: string): string =>
  BASE62[Number.parseInt(hashed.slice(BLOCK_HEX_CHARS, BLOCK_HEX_CHARS + 8), 16) % 62]! +
  BASE62[Number.parseInt(hashed.slice(BLOCK_HEX_CHARS + 8, BLOCK_HEX_CHARS + 16), 16) % 62]!

const WORD = 2 ** 32

function digitsOf(block: Uint32Array): string {
  const words = Array.from(block)
  let text = ''
  for (let i = 0; i < BLOCK_CHARS; i++) {
    let rest = 0
    for (let at = 0; at < words.length; at++) {
      const whole = rest * WORD + words[at]!
      words[at] = Math.floor(whole / 62)
      rest = whole % 62
    }
    text = BASE62[rest] + text
  }
  return text
}

/** The block that some letters and digits are; undefined for what is none. */
function blockOf(text: string): Uint32Array | undefined {
  const words = [0, 0, 0, 0]
  for (const letter of text) {
    let carry = BASE62.indexOf(letter)
    if (carry === -1) return undefined
    for (let at = words.length - 1; at >= 0; at--) {
      const whole = words[at]! * 62 + carry
      words[at] = whole % WORD
      carry = Math.floor(whole / WORD)
    }
    if (carry > 0) return undefined
  }
  return Uint32Array.from(words)
}
