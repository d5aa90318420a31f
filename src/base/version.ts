/**
 * Which version this is, and which one of Consul it speaks like.
 *
 * Owns the reading of our own package.json: the number stands nowhere else.
 */
import { readFileSync } from 'node:fs'
import { packageFile } from './places.ts'

/** Our version, as in package.json. */
export const productVersion: string = JSON.parse(
  readFileSync(packageFile('package.json'), 'utf8'),
).version

/** The version of Consul whose protocol is spoken; clients decide by it what they may ask. */
export const consulVersion = '1.21.4'

/** The version of Vault whose protocol is spoken; clients decide by it what they may ask. */
export const vaultVersion = '1.19.0'

/** The version of OpenBao, for tools that cut it out of the line that `bao version` prints. */
export const openbaoVersion = '2.2.0'

/** No build has a date: the same sources make the same program. */
export const buildDate = '1970-01-01T00:00:00Z'
