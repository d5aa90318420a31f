/**
 * What the PKI engine asks of the server: handed in when the parts are joined.
 *
 * Owns the type.
 */
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import type { AcmePorts } from './acme/ports.ts'

export interface PkiPorts {
  readonly arithmetic: Arithmetic
  readonly acme: AcmePorts
}
