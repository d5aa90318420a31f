/**
 * The paths of who is locked out: `sys/locked-users`.
 *
 * Owns their declarations. Who is locked out stands in src/secrets/lockout. Pure.
 */
import { type Answer, type Call, NOTHING, path } from '../../declare.ts'
import { str } from '../../field.ts'
import { forgetFailures, lockedNames } from '../../lockout/lockout.ts'
import { type Namespace, namespaceRows } from '../../namespace/namespace.ts'
import { int, list, object, text, texts } from '../../shape.ts'

const readFields = { mount_accessor: str('Only who is locked out at this mount.') }

const lockedShape = object({
  by_namespace: list(
    object({
      namespace_id: text,
      namespace_path: text,
      counts: int,
      mount_accessors: list(
        object({ mount_accessor: text, counts: int, alias_identifiers: texts }),
      ),
    }),
  ),
  total: int,
})

type ReadCall = Call<typeof readFields>

/** The namespace of a request, and all in it. */
function namespacesOf({ draft, namespace }: ReadCall): Namespace[] {
  const rows = namespaceRows(draft)
  const inside = rows.keys(namespace.path).map(path => namespace.path + path)
  return [namespace, ...inside.map(path => rows.kept<Namespace>(path)!)]
}

const byCount = (a: { counts: number }, b: { counts: number }): number => b.counts - a.counts

function lockedIn(
  { draft, fields: { mount_accessor: only = '' } }: ReadCall,
  { id, path }: Namespace,
) {
  const mounts = [...lockedNames(draft, id)]
    .filter(([accessor]) => only === '' || accessor === only)
    .map(([accessor, names]) => ({
      mount_accessor: accessor,
      counts: names.length,
      alias_identifiers: names.sort(),
    }))
    .sort(byCount)
  const counts = mounts.reduce((sum, mount) => sum + mount.counts, 0)
  return { namespace_id: id, namespace_path: path, counts, mount_accessors: mounts }
}

function read(call: ReadCall): Answer {
  const only = call.fields.mount_accessor ?? ''
  const namespaces = only === '' ? namespacesOf(call) : [call.namespace]
  const found = namespaces.map(namespace => lockedIn(call, namespace)).sort(byCount)
  const total = found.reduce((sum, { counts }) => sum + counts, 0)
  return { data: { by_namespace: found, total } }
}

export const lockedUserPaths = [
  path({
    pattern: 'locked-users',
    help: {
      synopsis: 'Who is locked out.',
      description: 'In this namespace and those in it, with the mount of each.',
    },
    fields: readFields,
    access: 'authorized',
    operations: { read: { summary: 'Tells who is locked out.', answer: lockedShape, run: read } },
  }),
  path({
    pattern: 'locked-users/{mount_accessor}/unlock/{alias_identifier*}',
    help: {
      synopsis: 'Ends a lockout.',
      description: 'The name is let in again at once. One that is not locked out is let pass.',
    },
    fields: {
      mount_accessor: str('The accessor of the mount.'),
      alias_identifier: str('The name, in any spelling: a user, or the id of a role.'),
    },
    access: 'authorized',
    operations: {
      update: {
        summary: 'Lets a name in again.',
        run({ draft, namespace, fields: { mount_accessor = '', alias_identifier = '' } }) {
          const mount = { namespaceId: namespace.id, accessor: mount_accessor }
          forgetFailures(draft, mount, alias_identifier)
          return NOTHING
        },
      },
    },
  }),
]
