/**
 * `sys/internal/specs/openapi`: everything that is declared, as one document.
 *
 * Owns which mounts stand in it: those that somebody sees, and those that every server has.
 */
import { type Call, type Engine, type PathSpec, path } from '../../declare.ts'
import { document, pathItems } from '../../describe.ts'
import { bool, str } from '../../field.ts'
import { type MountRow, mountsOf, wholePathOf } from '../../mount/mount.ts'
import { anyObject } from '../../shape.ts'
import { seenMounts } from './internal.ts'

/** `engines` are all that there are, the system's own among them once it is. */
export const openapiPaths = (engines: readonly Engine[]): PathSpec[] => {
  const engineOf = ({ kind, type }: MountRow): Engine | undefined =>
    engines.find(one => one.type === type && (one.kind === kind || one.kind === 'system'))
  const itemsOf = (mount: MountRow, isGeneric: boolean): Readonly<Record<string, unknown>> => {
    const engine = engineOf(mount)
    if (engine === undefined) return {}
    const at = isGeneric && engine.isMountable ? `{${mount.type}_mount_path}/` : mount.path
    return pathItems(mount.kind === 'auth' ? `auth/${at}` : at, engine.paths(mount))
  }
  return [
    path({
      pattern: 'internal/specs/openapi',
      help: {
        synopsis: 'Describes all paths as an OpenAPI document.',
        description: 'Those of mounts that somebody sees, and those that every server has.',
      },
      fields: {
        generic_mount_paths: bool('Write paths of mounts with their types.', { initial: false }),
        context: str('Taken, and not looked at.'),
      },
      access: 'optional',
      operations: {
        read: {
          summary: 'Describes all paths.',
          answer: anyObject,
          run(call) {
            const isGeneric = call.fields.generic_mount_paths === true
            const items = shownMounts(call, engineOf).map(mount => itemsOf(mount, isGeneric))
            return { bare: document(Object.assign({}, ...items)) }
          },
        },
      },
    }),
  ]
}

function shownMounts(
  call: Pick<Call, 'who' | 'draft' | 'namespace'>,
  engineOf: (mount: MountRow) => Engine | undefined,
): MountRow[] {
  return (['secret', 'auth'] as const).flatMap(kind => {
    const seen = new Set(seenMounts(call, kind).map(wholePathOf))
    return mountsOf(call.draft, call.namespace, kind).filter(
      mount => seen.has(wholePathOf(mount)) || engineOf(mount)?.isMountable === false,
    )
  })
}
