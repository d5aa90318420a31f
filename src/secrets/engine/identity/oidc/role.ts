/**
 * The paths of roles: `identity/oidc/role`.
 *
 * Owns their declarations and rules. Pure but for pairs of the key `default`, which are drawn
 * before the transaction that first needs them.
 */
import type { KeyObject } from 'node:crypto'
import { DAY_MS } from '../../../../base/duration.ts'
import { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import {
  type Call,
  NOTHING,
  type Outcome,
  type PathSpec,
  path,
  prepared,
} from '../../../declare.ts'
import { dur, str, toSeconds } from '../../../field.ts'
import { drawDefault } from '../../../oidc/draw.run.ts'
import { configuredIssuer, noIssuerWarnings } from '../../../oidc/issuer.ts'
import { addDefault } from '../../../oidc/key.ts'
import { deleteRole, putRole, refuseRole, roleAt } from '../../../oidc/role.ts'
import { isName, type RoleRow, roleRows } from '../../../oidc/rows.ts'
import { readTemplate } from '../../../oidc/template.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import { keysAnswer } from '../../kv/v1.ts'
import type { OidcPorts } from './ports.ts'

const fields = {
  name: str('Name of the role.'),
  key: str('The key that its tokens are signed with.'),
  template: str('Further claims: JSON with templates, as it is or in base64.'),
  ttl: dur('How long its tokens hold; 24h unless said.'),
  client_id: str('What its tokens say as `aud`; drawn unless said.'),
}
type RoleCall = Call<typeof fields>

const roleShape = shape.object({
  client_id: shape.text,
  key: shape.text,
  template: shape.text,
  ttl: shape.int,
})

export const rolePaths = ({ arithmetic, addresses }: OidcPorts): PathSpec[] => [
  path({
    pattern: 'oidc/role',
    help: { synopsis: 'The names of all roles of identity tokens.', description: 'Lists them.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists all roles.',
        answer: shape.keys,
        run: ({ draft, namespace }) => keysAnswer(roleRows(draft, namespace.id).keys()),
      },
    },
  }),
  path({
    pattern: 'oidc/role/{name}',
    help: {
      synopsis: 'A role: what identity tokens for an audience are like.',
      description: 'Makes, changes, tells of and deletes it.',
    },
    fields,
    access: 'authorized',
    exists: ({ draft, namespace, fields: { name } }) =>
      roleAt(draft, namespace.id, name!) !== undefined,
    operations: {
      read: { summary: 'Tells of a role.', answer: roleShape, run: read },
      update: prepared<typeof fields, readonly KeyObject[]>({
        summary: 'Makes or changes a role.',
        prepare: call =>
          drawDefault(arithmetic, call.draft, call.namespace.id, call.fields.key ?? ''),
        run: call => write(call, addresses()),
        examples: [{ key: 'default', template: '{"name":{{identity.entity.name}}}', ttl: '1h' }],
      }),
      delete: { summary: 'Deletes a role; its tokens hold as long as they say.', run: remove },
    },
  }),
]

function read({ draft, namespace, fields: { name } }: RoleCall): Outcome {
  if (!isName(name!)) return UNSUPPORTED_PATH
  const role = roleAt(draft, namespace.id, name!)
  if (role === undefined) return NOTHING
  const { clientId, key, template, ttlMs } = role
  return { data: { client_id: clientId, key, template, ttl: toSeconds(ttlMs) } }
}

function write(
  call: Call<typeof fields, readonly KeyObject[]>,
  addresses: readonly string[],
): Outcome {
  const { draft, namespace, fields: said } = call
  const name = said.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  const before = roleAt(draft, namespace.id, name)
  const template =
    said.template === undefined ? (before?.template ?? '') : readTemplate(said.template, draft.now)
  if (template instanceof Refusal) return template
  const role: RoleRow = {
    ...{ template, key: said.key ?? before?.key ?? '' },
    ttlMs: said.ttl ?? before?.ttlMs ?? DAY_MS,
    clientId: said.client_id ?? before?.clientId ?? '',
  }
  if (role.clientId.length > limits.oidcNameChars) {
    return new Refusal(400, `client_id exceeds ${limits.oidcNameChars} characters`)
  }
  const refused =
    refuseRole(draft, namespace.id, role) ??
    addDefault(draft, namespace.id, role.key, call.prepared)
  if (refused !== undefined) return refused
  putRole(draft, namespace.id, name, role)
  const warnings = noIssuerWarnings(configuredIssuer(draft, namespace.id), addresses)
  return warnings.length === 0 ? NOTHING : { warnings }
}

function remove({ draft, namespace, fields: { name } }: RoleCall): Outcome {
  if (!isName(name!)) return UNSUPPORTED_PATH
  deleteRole(draft, namespace.id, name!)
  return NOTHING
}
