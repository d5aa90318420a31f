/**
 * What the PKI engine asks of the server: handed in when the parts are joined.
 *
 * Owns the type.
 */
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import type { AcmePorts } from './acme/ports.ts'
import type { ProgramCompiler } from './cel/row.ts'

export interface PkiPorts {
  readonly arithmetic: Arithmetic
  readonly acme: AcmePorts
  /** For roles that are programs. */
  readonly programs: ProgramCompiler
}
