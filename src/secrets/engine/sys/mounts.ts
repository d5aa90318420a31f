/**
 * `sys/mounts` and `sys/auth`: what is mounted where.
 *
 * Owns their paths; both say the same, of secrets and of logins.
 */
import { Refusal } from '../../../base/errors.ts'
import {
  type Call,
  type Engine,
  NOTHING,
  type Outcome,
  type PathSpec,
  path,
} from '../../declare.ts'
import { bool, kv, map, str } from '../../field.ts'
import { enableMount, isUpgrade, mountNamed, refuseTuning, tuneMount } from '../../mount/change.ts'
import { configFields, readGiven } from '../../mount/config.ts'
import { type MountKind, type MountRow, mountsOf } from '../../mount/mount.ts'
import { isProtected, mountPathOf } from '../../mount/path.ts'
import { removeMount } from '../../mount/removal.ts'
import { mountShape, showMount, showTuning, tuneShape } from '../../mount/show.ts'
import { mapOf } from '../../shape.ts'

/** The paths of one kind of mounts. */
export function mountPaths(kind: MountKind, engines: readonly Engine[]): PathSpec[] {
  return [tablePath(kind), entryPath(kind, engines), tunePath(kind, engines)]
}

/** What paths and help call the two kinds. */
const WORDS = {
  secret: { path: 'mounts', one: 'secrets engine', missing: 'No secret engine mount at' },
  auth: { path: 'auth', one: 'auth method', missing: 'No auth engine at' },
} as const

function tablePath(kind: MountKind): PathSpec {
  const { path: name, one } = WORDS[kind]
  return path({
    pattern: name,
    help: {
      synopsis: `Lists what is mounted: each ${one}, by its path.`,
      description: `Every ${one} of the namespace, with its accessor, options and configuration.`,
    },
    fields: {},
    access: 'authorized',
    operations: {
      read: {
        summary: `Lists each ${one} that is mounted.`,
        answer: mapOf(mountShape),
        run: ({ draft, namespace }) => ({
          data: Object.fromEntries(
            mountsOf(draft, namespace, kind)
              .filter(({ tainted }) => !tainted)
              .map(mount => [mount.path, showMount(mount)]),
          ),
        }),
      },
    },
  })
}

const entryFields = {
  path: str('Where it is mounted.'),
  type: str('What is mounted: the name of its type.'),
  description: str('What it is for, to people.'),
  options: kv('Options of the type; `version` is 1 or 2 for `kv`.'),
  local: bool('Kept for clients that say it; every server has every mount.'),
  seal_wrap: bool('Kept for clients that say it; every row is sealed.'),
  external_entropy_access: bool('Kept for clients that say it.'),
  plugin_name: str('The type, where `type` is `plugin`.'),
  plugin_version: str('The version of the type: there is one.'),
  config: map('How it is configured: what tuning takes too.'),
  force: bool('As it goes: whether engines are not asked to take back what they gave.'),
}

type EntryCall = Call<typeof entryFields>

function entryPath(kind: MountKind, engines: readonly Engine[]): PathSpec {
  const { path: name, one, missing } = WORDS[kind]
  return path({
    pattern: `${name}/{path*}`,
    help: {
      synopsis: `Mounts a new ${one} at a path, shows it, or unmounts it.`,
      description: 'Unmounting deletes all that was kept there, and revokes all that it gave.',
    },
    fields: entryFields,
    access: kind === 'auth' ? 'privileged' : 'authorized',
    operations: {
      read: {
        summary: `Shows what is mounted: one ${one}.`,
        answer: mountShape,
        run({ draft, namespace, fields }) {
          const find: Find<MountRow | undefined> = (of, at) => mountNamed(draft, namespace, of, at)
          const mount = tuned(kind, fields.path!, find)
          return mount === undefined || mount.tainted
            ? new Refusal(400, `${missing} ${mountPathOf(fields.path!)}`)
            : { data: showMount(mount) }
        },
      },
      update: {
        summary: `Mounts a new ${one}.`,
        examples: [{ type: kind === 'auth' ? 'approle' : 'kv-v2', description: 'of the shop' }],
        run: call => mount(kind, engines, call),
      },
      delete: {
        summary: `Unmounts it, with all that it keeps.`,
        run: call => unmount(kind, engines, call),
      },
    },
  })
}

function mount(kind: MountKind, engines: readonly Engine[], call: EntryCall): Outcome {
  const { draft, namespace, fields } = call
  const config = readGiven(fields.config ?? {})
  if (config instanceof Refusal) return config
  const type = fields.type === 'plugin' ? fields.plugin_name : fields.type
  if (fields.type === 'plugin' && !type) {
    return new Refusal(400, 'plugin_name must be provided for plugin backend')
  }
  const mounted = enableMount(draft, namespace, engines, {
    kind,
    path: fields.path!,
    type: type ?? '',
    description: fields.description ?? '',
    options: fields.options && Object.keys(fields.options).length > 0 ? fields.options : null,
    local: fields.local ?? false,
    sealWrap: fields.seal_wrap ?? false,
    externalEntropyAccess: fields.external_entropy_access ?? false,
    config,
  })
  return mounted instanceof Refusal ? mounted : NOTHING
}

function unmount(
  kind: MountKind,
  engines: readonly Engine[],
  { draft, namespace, fields }: EntryCall,
): Outcome {
  const at = mountPathOf(fields.path!)
  // Whether it was there is not told.
  const found = mountNamed(draft, namespace, kind, at)
  if (isProtected(kind, at)) {
    return new Refusal(
      400,
      kind === 'auth'
        ? 'token credential backend cannot be disabled'
        : `cannot unmount ${JSON.stringify(at)}`,
    )
  }
  if (found === undefined || found.tainted) return NOTHING
  const how = fields.force === true ? 'forget' : 'revoke'
  const rest = removeMount(draft, engines, namespace, found, how)
  return rest === undefined ? NOTHING : { rest }
}

const tuneFields = {
  path: str('Where it is mounted.'),
  description: str('What it is for, to people.'),
  options: kv('Options of the type that change; those that are empty go.'),
  plugin_version: str('The version of the type: there is one.'),
  ...configFields,
}

function tunePath(kind: MountKind, engines: readonly Engine[]): PathSpec {
  const { path: name, one } = WORDS[kind]
  return path({
    pattern: `${name}/{path*}/tune`,
    help: {
      synopsis: `Shows and changes how a ${one} is configured.`,
      description: 'Times are those that hold, in seconds; whatever is not said stays as it is.',
    },
    fields: tuneFields,
    access: kind === 'auth' ? 'privileged' : 'authorized',
    operations: {
      read: {
        summary: 'Shows how it is configured.',
        answer: tuneShape,
        run({ draft, namespace, fields }) {
          const found = tuned(kind, fields.path!, (of, at) => mountNamed(draft, namespace, of, at))
          return found === undefined
            ? new Refusal(400, `cannot fetch sysview for path ${quoted(kind, fields.path!)}`)
            : { data: showTuning(draft, found) }
        },
      },
      update: {
        summary: 'Changes how it is configured.',
        examples: [{ default_lease_ttl: '1h', listing_visibility: 'unauth' }],
        run: call => tune(kind, engines, call),
      },
    },
  })
}

const quoted = (kind: MountKind, said: string): string =>
  JSON.stringify((kind === 'auth' ? 'auth/' : '') + mountPathOf(said))

type Find<T> = (kind: MountKind, at: string) => T

/** `mounts/auth/<path>` is about a login, as it always was: who has no `sudo` asks there. */
function tuned<T>(kind: MountKind, said: string, find: Find<T>): T {
  return kind === 'secret' && said.startsWith('auth/')
    ? find('auth', said.slice('auth/'.length))
    : find(kind, said)
}

function tune(
  kind: MountKind,
  engines: readonly Engine[],
  { draft, namespace, fields, data }: Call<typeof tuneFields>,
): Outcome {
  const refused = tuned(kind, fields.path!, (of, at) =>
    refuseTuning(
      of,
      mountPathOf(at),
      Object.keys(data).filter(name => Object.hasOwn(tuneFields, name)),
    ),
  )
  if (refused !== undefined) return refused
  const found = tuned(kind, fields.path!, (of, at) => mountNamed(draft, namespace, of, at))
  const engine = engines.find(
    each => each.type === found?.type && (each.kind === found.kind || each.kind === 'system'),
  )
  if (found === undefined) {
    const text = `tune of path ${quoted(kind, fields.path!)} failed: no mount entry found`
    return new Refusal(400, text)
  }
  const { description, options } = fields
  const done = tuneMount(draft, found, engine, { description, options, config: fields })
  if (done instanceof Refusal) return done
  return isUpgrade(done) ? { warnings: [UPGRADED] } : NOTHING
}

const UPGRADED =
  'Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and will resume service shortly.'
