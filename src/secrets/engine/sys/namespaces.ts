/**
 * `sys/namespaces`: making, listing, locking and deleting namespaces.
 *
 * Owns the paths; rules stand in src/secrets/namespace.
 */
import { Refusal } from '../../../base/errors.ts'
import { authorize } from '../../access.ts'
import {
  type Call,
  type Engine,
  NOTHING,
  type Outcome,
  type PathSpec,
  path,
} from '../../declare.ts'
import { any, int, map, str } from '../../field.ts'
import { removeNamespace } from '../../mount/removal.ts'
import {
  hasChildren,
  namedIn,
  namespacesUnder,
  patchNamespace,
  readMetadata,
  setNamespace,
} from '../../namespace/change.ts'
import { lockNamespace, unlockNamespace } from '../../namespace/lock.ts'
import { type Namespace, namespaceAt } from '../../namespace/namespace.ts'
import { anyObject, bool, keys, mapOf, object, text } from '../../shape.ts'

/** The paths of namespaces. */
export const namespacePaths = (engines: readonly Engine[]): PathSpec[] => [
  tablePath,
  entryPath(engines),
  lockPath,
  unlockPath,
]

const shape = object({
  id: text,
  path: text,
  uuid: text,
  custom_metadata: mapOf(text),
  tainted: bool,
  locked: bool,
})

const show = (namespace: Namespace): Record<string, unknown> => ({
  id: namespace.id,
  path: namespace.path,
  uuid: namespace.uuid,
  custom_metadata: namespace.customMetadata,
  tainted: namespace.tainted,
  locked: namespace.lock !== '',
})

const tableFields = {
  after: str('List only what stands behind this path.'),
  limit: int('List at most so many; 0 for all.'),
}

const tablePath = path({
  pattern: 'namespaces',
  help: {
    synopsis: 'Lists namespaces.',
    description: 'A list shows those right under the one that is asked, a scan those at any depth.',
  },
  fields: tableFields,
  access: 'authorized',
  operations: {
    list: {
      summary: 'Lists the namespaces under this one.',
      answer: keys,
      run: call => list(call, false),
    },
    scan: {
      summary: 'Lists the namespaces under this one, at any depth.',
      answer: keys,
      run: call => list(call, true),
    },
  },
})

function list(call: Call<typeof tableFields>, isDeep: boolean): Outcome {
  const { draft, namespace, fields } = call
  const { after = '', limit = 0 } = fields
  const relative = (of: Namespace): string => of.path.slice(namespace.path.length)
  const behind = namespacesUnder(draft, namespace, isDeep).filter(each => relative(each) > after)
  const found = limit > 0 ? behind.slice(0, limit) : behind
  if (found.length === 0) return NOTHING
  return {
    data: {
      keys: found.map(relative),
      key_info: Object.fromEntries(found.map(each => [relative(each), show(each)])),
    },
  }
}

const entryFields = {
  path: str('The name of the namespace, under the one that is asked.'),
  custom_metadata: any('Text by text: whatever people want to say of it.'),
}

type EntryCall = Call<typeof entryFields>

const entryPath = (engines: readonly Engine[]): PathSpec =>
  path({
    pattern: 'namespaces/{path*}',
    help: {
      synopsis: 'Makes a namespace, shows it, changes what is said of it, or deletes it.',
      description: 'A namespace goes with all that is in it; none may be under it.',
    },
    fields: entryFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Shows a namespace.', answer: shape, run: read },
      update: {
        summary: 'Makes a namespace, or says anew what is known of one.',
        answer: shape,
        examples: [{ custom_metadata: { team: 'shop' } }],
        run: write,
      },
      patch: {
        summary: 'Changes some of what is known of a namespace.',
        answer: shape,
        examples: [{ custom_metadata: { team: null } }],
        run: patch,
      },
      delete: {
        summary: 'Deletes a namespace with all that is in it.',
        answer: object({ status: text }),
        run: call => remove(call, engines),
      },
    },
  })

function read({ draft, namespace: parent, fields }: EntryCall): Outcome {
  const at = namedIn(parent, fields.path!)
  if (at instanceof Refusal) return at
  const found = namespaceAt(draft, at)
  return found === undefined ? NOTHING : { data: show(found) }
}

const metadata = map('')

function write({ draft, namespace: parent, fields }: EntryCall): Outcome {
  const given = metadata.convert(fields.custom_metadata ?? null)
  const said = given === undefined ? NOT_TEXT : readMetadata(given)
  if (said instanceof Refusal) return said
  const made = setNamespace(draft, parent, fields.path!, said)
  return made instanceof Refusal ? made : { data: show(made) }
}

const NOT_TEXT = new Refusal(400, 'custom_metadata values must be strings')

function patch({ draft, namespace: parent, fields }: EntryCall): Outcome {
  const changed = patchNamespace(draft, parent, fields.path!, fields.custom_metadata)
  return changed instanceof Refusal ? changed : { data: show(changed) }
}

function remove(
  { draft, namespace: parent, fields }: EntryCall,
  engines: readonly Engine[],
): Outcome {
  const at = namedIn(parent, fields.path!)
  if (at instanceof Refusal) return at
  const found = namespaceAt(draft, at)
  if (found === undefined) return { warnings: ['requested namespace does not exist'] }
  if (hasChildren(draft, found)) {
    return new Refusal(400, 'unable to delete namespace containing child namespaces')
  }
  if (!found.tainted) removeNamespace(draft, engines, found)
  return { data: { status: 'in-progress' } }
}

const lockPath = path({
  pattern: 'namespaces/api-lock/lock/{path*}',
  help: {
    synopsis: 'Locks a namespace: nobody is served in it or below.',
    description: 'The answer holds the key that unlocks it; it is shown once.',
  },
  fields: { path: str('The namespace, under the one that is asked; itself for none.') },
  access: 'authorized',
  operations: {
    update: {
      summary: 'Locks a namespace.',
      answer: object({ unlock_key: text }),
      run({ draft, namespace, fields }) {
        const key = lockNamespace(draft, namespace, fields.path ?? '')
        return key instanceof Refusal ? key : { data: { unlock_key: key } }
      },
    },
  },
})

const unlockPath = path({
  pattern: 'namespaces/api-lock/unlock/{path*}',
  help: {
    synopsis: 'Unlocks a namespace.',
    description: 'It takes the key that locking gave; who has `sudo` on the path needs none.',
  },
  fields: {
    path: str('The namespace, under the one that is asked; itself for none.'),
    unlock_key: str('What locking gave.', { isSecret: true }),
  },
  access: 'authorized',
  operations: {
    update: {
      summary: 'Unlocks a namespace.',
      answer: anyObject,
      run(call) {
        const { draft, namespace, fields, who, data } = call
        const key = fields.unlock_key ?? ''
        const asked = { operation: 'update', namespace, path: `sys/${call.path}`, data } as const
        const isSudo =
          who !== undefined &&
          !(
            authorize(draft, who, {
              ...asked,
              access: 'privileged',
              wrapTtlMs: undefined,
            }) instanceof Refusal
          )
        if (key === '' && !isSudo) return new Refusal(400, 'provided empty key')
        const done = unlockNamespace(draft, namespace, fields.path ?? '', key)
        if (done instanceof Refusal) return done
        return key === '' ? { warnings: ['Namespace unlocked using sudo capabilities'] } : NOTHING
      },
    },
  },
})
