/**
 * Accessors: what a token is called by whoever may not know its secret.
 *
 * Owns the way between an accessor and the hash that the token's row is found by: one is the other
 * in a disguise that only the barrier sees through, so that an accessor needs no row. Neither tells
 * anything of the secret. Pure.
 */
import type { Barrier } from '../barrier/keyring.ts'
import { BASE62, namespaceIdIn, suffixOf, type TokenPlace } from './token.ts'

const ACCESSOR_CHARS = 24
/** What 128 bits take in letters and digits; the others are a check. */
const BLOCK_CHARS = 22
const BLOCK_HEX_CHARS = 32
const HALF_HEX_CHARS = BLOCK_HEX_CHARS / 2
/** Rounds of a Feistel cipher: four look like any permutation (Luby and Rackoff, 1988). */
const ROUNDS = 4

/** The accessor of the token with a hash, in a namespace. */
export function accessorOf(barrier: Barrier, { hash, namespaceId }: TokenPlace): string {
  let [left, right] = halvesOf(hash)
  for (let round = 0; round < ROUNDS; round++) {
    ;[left, right] = [right, left ^ mixed(barrier, round, right)]
  }
  const block = digitsOf((left << 64n) | right, BLOCK_CHARS)
  return checkOf(barrier, block) + block + suffixOf(namespaceId)
}

/** Where the row of an accessor lies; undefined for what is none. */
export function placeOfAccessor(barrier: Barrier, accessor: string): TokenPlace | undefined {
  const [text = ''] = accessor.split('.')
  const block = text.slice(-BLOCK_CHARS)
  const number = numberOf(block)
  if (text.length !== ACCESSOR_CHARS || number === undefined || number >> 128n > 0n) {
    return undefined
  }
  if (checkOf(barrier, block) !== text.slice(0, -BLOCK_CHARS)) return undefined
  let [left, right] = [number >> 64n, number & HALF]
  for (let round = ROUNDS - 1; round >= 0; round--) {
    ;[left, right] = [right ^ mixed(barrier, round, left), left]
  }
  const hash = ((left << 64n) | right).toString(16).padStart(BLOCK_HEX_CHARS, '0')
  return { namespaceId: namespaceIdIn(accessor), hash }
}

const HALF = (1n << 64n) - 1n

const halvesOf = (hash: string): [bigint, bigint] => [
  BigInt(`0x${hash.slice(0, HALF_HEX_CHARS)}`),
  BigInt(`0x${hash.slice(HALF_HEX_CHARS)}`),
]

const mixed = (barrier: Barrier, round: number, half: bigint): bigint =>
  BigInt(`0x${barrier.hashOf(`accessor ${round}\0${half}`).slice(0, HALF_HEX_CHARS)}`)

/** Two letters or digits that tell an accessor from a guess. */
function checkOf(barrier: Barrier, block: string): string {
  const bytes = Buffer.from(barrier.hashOf(`accessor\0${block}`).slice(0, 4), 'hex')
  return BASE62[bytes[0]! % BASE62.length]! + BASE62[bytes[1]! % BASE62.length]!
}

function digitsOf(number: bigint, chars: number): string {
  let text = ''
  for (let rest = number; text.length < chars; rest /= 62n) text = BASE62[Number(rest % 62n)] + text
  return text
}

function numberOf(text: string): bigint | undefined {
  let number = 0n
  for (const letter of text) {
    const digit = BASE62.indexOf(letter)
    if (digit === -1) return undefined
    number = number * 62n + BigInt(digit)
  }
  return number
}
