/**
 * The paths of roles: `roles` and `roles/<name>`.
 *
 * Owns their declarations. Writing replaces a role as a whole, patching changes what is said. Pure.
 */
import { type Call, NOTHING, type Outcome, path } from '../../../declare.ts'
import { int, str } from '../../../field.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import { keys } from '../../../shape.ts'
import { issuerIdOf } from '../issuer/stored.ts'
import { bad } from '../refusals.ts'
import {
  DEFAULTS,
  isRoleName,
  ROLES,
  type RoleRow,
  roleAt,
  roleFields,
  roleShape,
  settle,
  showRole,
} from './row.ts'

const fields = { name: str('The name of the role.'), ...roleFields }
type RoleCall = Call<typeof fields>

const pageFields = {
  after: str('List only what stands behind this name.'),
  limit: int('List at most so many; 0 for all.'),
}

/** The paths. */
export const rolePaths = [
  path({
    pattern: 'roles',
    help: { synopsis: 'Lists roles.', description: 'Each name can be read at `roles/<name>`.' },
    fields: pageFields,
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists the names of roles.',
        answer: keys,
        run({ storage, fields: { after = '', limit = 0 } }) {
          const names = storage.list(ROLES, { after, limit })
          return names.length === 0 ? NOTHING : { data: { keys: names } }
        },
      },
    },
  }),
  path({
    pattern: 'roles/{name}',
    help: {
      synopsis: 'What certificates are given to whom.',
      description: 'A role bounds the names, times and keys of the certificates given by it.',
    },
    fields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads a role.', answer: roleShape, run: read },
      update: {
        summary: 'Makes a role, or replaces it as a whole.',
        answer: roleShape,
        run: call => write(call, DEFAULTS),
        examples: [{ allowed_domains: 'example.com', allow_subdomains: true, key_type: 'ec' }],
      },
      patch: { summary: 'Changes what is said of a role.', answer: roleShape, run: patch },
      delete: {
        summary: 'Deletes a role; what it gave stays.',
        run({ storage, fields: { name = '' } }) {
          if (isRoleName(name)) storage.delete(ROLES + name)
          return NOTHING
        },
      },
    },
  }),
]

function read({ storage, fields: { name = '' } }: RoleCall): Outcome {
  const role = roleAt(storage, name)
  return role === undefined ? NOTHING : { data: showRole(role) }
}

function patch(call: RoleCall): Outcome {
  const before = roleAt(call.storage, call.fields.name ?? '')
  return before === undefined ? bad('Unable to fetch role entry to patch') : write(call, before)
}

/** Writes a role: what is said, and for the rest what stands in another. */
function write(
  { storage, fields: { name = '', ...said }, given }: RoleCall,
  rest: RoleRow,
): Outcome {
  if (!isRoleName(name)) return UNSUPPORTED_PATH
  const chosen = Object.entries(said).filter(([key]) => given(key as keyof RoleRow))
  const whole = { ...rest, ...Object.fromEntries(chosen) } as RoleRow
  const settled = settle(whole)
  if (!('role' in settled)) return settled
  const { role, warnings } = settled
  storage.put(ROLES + name, role)
  const issuer = warningOfIssuer(storage, role)
  return {
    data: showRole(role),
    warnings: [...(issuer === undefined ? [] : [issuer]), ...warnings],
  }
}

/** What is said where the issuer of a role is not there yet: it is looked up at each use. */
function warningOfIssuer(storage: RoleCall['storage'], { issuer_ref: wanted }: RoleRow) {
  const id = issuerIdOf(storage, wanted)
  if (typeof id === 'string') return undefined
  return wanted === 'default'
    ? 'Issuing Certificate was set to default, but no default issuing certificate (configurable at /config/issuers) is currently set'
    : `Issuing Certificate was set to ${wanted} but no issuing certificate currently has that name`
}
