/**
 * What the operations of transit ask of the server.
 *
 * Owns the type alone.
 */
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'

export interface OperationPorts {
  readonly arithmetic: Arithmetic
}
