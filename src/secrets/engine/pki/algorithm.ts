/**
 * Signature algorithms as requests name them: the names of Go's crypto/x509.
 *
 * Owns the spelling, and which key can sign by which.
 */
import type { KeyObject } from 'node:crypto'
import type { HashName, Scheme, SchemeChoice } from '../../../x509/algorithm.ts'

interface Known {
  readonly name: string
  readonly keyType: 'rsa' | 'ec' | 'ed25519'
  readonly choice: SchemeChoice
}

const HASHES: readonly HashName[] = ['sha256', 'sha384', 'sha512']

const known: readonly Known[] = [
  ...HASHES.flatMap((hash): Known[] => [
    { name: `${hash.toUpperCase()}WithRSA`, keyType: 'rsa', choice: { hash } },
    { name: `ECDSAWith${hash.toUpperCase()}`, keyType: 'ec', choice: { hash } },
    { name: `${hash.toUpperCase()}WithRSAPSS`, keyType: 'rsa', choice: { hash, usePss: true } },
  ]),
  { name: 'Ed25519', keyType: 'ed25519', choice: {} },
]

const byName = new Map(known.map(each => [each.name.toLowerCase(), each]))
byName.set('pureed25519', byName.get('ed25519')!)

/** All of their names. */
export const algorithmNames = known.map(({ name }) => name)

/** The name of an algorithm in its one spelling; undefined for one that nobody knows. */
export const algorithmOf = (text: string): string | undefined =>
  byName.get(text.toLowerCase())?.name

/** The kind of key that signs by an algorithm of this name. */
export const keyTypeOf = (name: string): string | undefined =>
  byName.get(name.toLowerCase())?.keyType

/** How a key signs by a name; as it does by itself where the name is '', or another kind's. */
export function choiceOf(name: string, key: KeyObject): SchemeChoice {
  const found = byName.get(name.toLowerCase())
  return found?.keyType === key.asymmetricKeyType ? found!.choice : {}
}

/** The name of how something was signed; '' for what is not in the table. */
export function nameOfScheme(scheme: Scheme | undefined): string {
  if (scheme === undefined) return ''
  const { keyType, hash, saltLength } = scheme
  const usePss = keyType === 'rsa' && saltLength !== undefined
  const found = known.find(
    ({ keyType: type, choice }) =>
      type === keyType && (choice.hash ?? null) === hash && (choice.usePss === true) === usePss,
  )
  return found?.name ?? ''
}
