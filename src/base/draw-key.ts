/**
 * Drawing keys of algorithms that ask for nothing but their name.
 *
 * Owns the one call that node:crypto's types know too few names for.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'

/** A private key, by the name that node:crypto has for its algorithm, such as `ml-dsa-65`. */
export const drawNamed = (name: string): KeyObject =>
  generateKeyPairSync(name as 'ed25519').privateKey
