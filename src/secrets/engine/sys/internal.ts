/**
 * `sys/internal`: what clients ask before they ask for secrets, and what web pages show.
 *
 * Owns the paths of mounts and namespaces as somebody sees them. What is not his to see is not told
 * apart from what is not there.
 */
import { Refusal } from '../../../base/errors.ts'
import { mayReach } from '../../access.ts'
import { type Call, NOTHING, type PathSpec, path } from '../../declare.ts'
import { str } from '../../field.ts'
import { type MountKind, type MountRow, mountsOf, route, wholePathOf } from '../../mount/mount.ts'
import { mountPathOf } from '../../mount/path.ts'
import { mountParts, showMount } from '../../mount/show.ts'
import { namespacesUnder } from '../../namespace/change.ts'
import { locate } from '../../namespace/namespace.ts'
import { anyObject, keys, mapOf, object, text, texts } from '../../shape.ts'

export const internalPaths = (): PathSpec[] => [uiMountsPath, uiMountPath, uiNamespacesPath, flags]

type Seer = Pick<Call, 'who' | 'draft' | 'namespace'>

const isSeen = ({ draft, who, namespace }: Seer, mount: MountRow): boolean =>
  mayReach(draft, who, namespace.path + wholePathOf(mount))

/** The mounts that somebody sees; who shows no token sees those that are for everybody. */
export const seenMounts = (call: Seer, kind: MountKind): MountRow[] =>
  mountsOf(call.draft, call.namespace, kind).filter(
    mount => !mount.tainted && (mount.config.listingVisibility === 'unauth' || isSeen(call, mount)),
  )

function shown({ who }: Seer, mount: MountRow): Record<string, unknown> {
  if (who !== undefined) return showMount(mount)
  const { type, description, options } = mount
  return { type, description, options }
}

const uiMountsPath = path({
  pattern: 'internal/ui/mounts',
  help: {
    synopsis: 'Lists the mounts that somebody sees.',
    description:
      'Without a token: those that are listed for everybody. With one: those that it may anything at.',
  },
  fields: {},
  access: 'optional',
  operations: {
    read: {
      summary: 'Lists the mounts that somebody sees.',
      answer: object({ secret: mapOf(anyObject), auth: mapOf(anyObject) }),
      run(call) {
        const table = (kind: MountKind) =>
          Object.fromEntries(seenMounts(call, kind).map(mount => [mount.path, shown(call, mount)]))
        return { data: { secret: table('secret'), auth: table('auth') } }
      },
    },
  },
})

const uiMountPath = path({
  pattern: 'internal/ui/mounts/{path*}',
  help: {
    synopsis: 'Shows the mount that a path is under.',
    description: 'Clients learn from it which version of `kv` they speak to, and where it begins.',
  },
  fields: { path: str('A path of a secret, or of a mount.') },
  access: 'token',
  operations: {
    read: {
      summary: 'Shows the mount that a path is under.',
      answer: object({ ...mountParts, path: text }),
      run(call) {
        const { draft, namespace: asked, fields } = call
        const at = mountPathOf(fields.path!)
        const located = locate(draft, asked.path, at)
        if (located instanceof Refusal) return located
        const { namespace, path: inside } = located
        const mount = route(draft, namespace, inside)?.mount
        if (mount === undefined || mount.tainted || !isSeen({ ...call, namespace }, mount)) {
          const name = JSON.stringify(at)
          return new Refusal(
            403,
            `preflight capability check returned 403, please ensure client's policies grant access to path ${name}`,
          )
        }
        const outer = namespace.path.slice(asked.path.length)
        const shownAt = outer === '' ? mount.path : outer + wholePathOf(mount)
        return { data: { ...showMount(mount), path: shownAt } }
      },
    },
  },
})

const uiNamespacesPath = path({
  pattern: 'internal/ui/namespaces',
  help: {
    synopsis: 'Lists the namespaces that somebody sees.',
    description: 'Those right under the one that is asked, in which a token may anything.',
  },
  fields: {},
  access: 'token',
  operations: {
    read: {
      summary: 'Lists the namespaces that somebody sees.',
      answer: keys,
      run({ who, draft, namespace }) {
        const found = namespacesUnder(draft, namespace, false)
          .filter(each => mayReach(draft, who, each.path))
          .map(each => each.path.slice(namespace.path.length))
        return found.length === 0 ? NOTHING : { data: { keys: found } }
      },
    },
  },
})

const flags = path({
  pattern: 'internal/ui/feature-flags',
  help: {
    synopsis: 'Lists what of a web interface is switched on.',
    description: 'There is none.',
  },
  fields: {},
  access: 'open',
  operations: {
    read: {
      summary: 'Lists what of a web interface is switched on.',
      answer: object({ feature_flags: texts }),
      run: () => ({ bare: { feature_flags: [] } }),
    },
  },
})
