/**
 * The operations of transit: what is done with keys that are there.
 *
 * Owns the list alone.
 */
import type { PathSpec } from '../../../declare.ts'
import { hashPath, randomPath } from '../../sys/tools.ts'
import { datakeyPath } from './datakey.ts'
import { decryptPath, rewrapPath } from './decrypt.ts'
import { deriveKeyPath } from './derive-key.ts'
import { encryptPath } from './encrypt.ts'
import { macPaths } from './mac.ts'
import type { OperationPorts } from './ports.ts'
import { signPaths } from './sign.ts'

export const operationPaths = (ports: OperationPorts): PathSpec[] => [
  encryptPath(ports),
  decryptPath(ports),
  rewrapPath(ports),
  datakeyPath,
  ...signPaths(ports),
  ...macPaths,
  deriveKeyPath,
  randomPath('random'),
  randomPath('random/{urlbytes}'),
  randomPath('random/{source}/{urlbytes}'),
  hashPath('hash', true),
  hashPath('hash/{urlalgorithm}', true),
]
