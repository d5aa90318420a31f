/**
 * Every declared path of the secrets, as on a server that has one mount of each engine.
 */
import type { Engine, Handled, PathSpec } from '../../src/secrets/declare.ts'
import { enginesOn } from '../../src/secrets/engine/mod.ts'
import type { MountRow } from '../../src/secrets/mount/mount.ts'
import { testPorts } from './ports.ts'

export interface DeclaredPath {
  /** With the mount before it, behind `/v1/`. */
  readonly pattern: string
  readonly engine: Engine
  readonly spec: PathSpec
}

/** Where an engine is mounted; `kv` once for each of its versions. */
const mountsOf = ({ type, kind }: Engine): readonly (readonly [at: string, version?: string])[] => {
  if (kind === 'system') return type === 'system' ? [['sys/']] : [[`${type}/`]]
  if (type === 'kv')
    return [
      ['kv-v1/', '1'],
      ['kv-v2/', '2'],
    ]
  return [[kind === 'auth' ? `auth/${type}/` : `${type}/`]]
}

const mountOf = (version: string | undefined): MountRow =>
  ({ options: version === undefined ? null : { version } }) as unknown as MountRow

/** All paths of all engines. */
export const declaredSecretsPaths = (): DeclaredPath[] =>
  enginesOn(testPorts()).flatMap(engine =>
    mountsOf(engine).flatMap(([at, version]) =>
      engine
        .paths(mountOf(version))
        .map(spec => ({ pattern: (at + spec.pattern).replace(/\/$/, ''), engine, spec })),
    ),
  )

/** Whether a path only says that it is not served. */
export const isLater = ({ spec }: DeclaredPath): boolean =>
  spec.help.synopsis.startsWith('Not served')

/** The operations of a path. */
export const operationsOf = ({ spec }: DeclaredPath): Handled[] =>
  Object.keys(spec.operations) as Handled[]
