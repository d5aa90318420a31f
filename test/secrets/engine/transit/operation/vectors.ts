/**
 * What another server of the same interface made, read.
 *
 * Owns reading the files alone.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgreementVector, KeyVector } from '../vectors/vectors.ts'

const read = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '..', 'vectors', name), 'utf8'))

export const keyVectors: readonly KeyVector[] = read('keys.json').keys
export const agreementVectors: readonly AgreementVector[] = read('agreements.json').agreements
