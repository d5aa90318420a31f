/**
 * The paths of scopes: `identity/oidc/scope`.
 *
 * Owns their declarations and rules. Pure. Follows api-docs/secret/identity/oidc-provider of
 * Vault's docs, as its neighbours do.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { str } from '../../../field.ts'
import { OPENID, scopeAt } from '../../../oidc/people.ts'
import {
  isName,
  type ProviderRow,
  providerRows,
  type ScopeRow,
  scopeRows,
} from '../../../oidc/rows.ts'
import { readTemplate } from '../../../oidc/template.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import { keysAnswer } from '../../kv/v1.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const fields = {
  name: str('Name of the scope.'),
  template: str('What it says of somebody: JSON with templates, as it is or in base64.'),
  description: str('What it is for.'),
}
type ScopeCall = Call<typeof fields>

export const scopePaths: readonly PathSpec[] = [
  path({
    pattern: 'oidc/scope',
    help: { synopsis: 'The names of all scopes.', description: 'Lists them.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists all scopes.',
        answer: shape.keys,
        run: ({ draft, namespace }) => keysAnswer(scopeRows(draft, namespace.id).keys()),
      },
    },
  }),
  path({
    pattern: 'oidc/scope/{name}',
    help: {
      synopsis: 'A scope: claims that clients may ask for together.',
      description: 'Makes, changes, tells of and deletes it.',
    },
    fields,
    access: 'authorized',
    exists: ({ draft, namespace, fields: { name } }) =>
      scopeAt(draft, namespace.id, name!) !== undefined,
    operations: {
      read: {
        summary: 'Tells of a scope.',
        answer: shape.object({ template: shape.text, description: shape.text }),
        run: read,
      },
      update: {
        summary: 'Makes or changes a scope.',
        run: write,
        examples: [{ template: '{"groups":{{identity.entity.groups.names}}}' }],
      },
      delete: { summary: 'Deletes a scope that no provider has.', run: remove },
    },
  }),
]

function read({ draft, namespace, fields: { name } }: ScopeCall): Outcome {
  if (!isName(name!)) return UNSUPPORTED_PATH
  const row = scopeAt(draft, namespace.id, name!)
  return row === undefined
    ? NOTHING
    : { data: { template: row.template, description: row.description } }
}

function write({ draft, namespace, fields: said }: ScopeCall): Outcome {
  const name = said.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  if (name === OPENID) return bad(`the ${JSON.stringify(OPENID)} scope name is reserved`)
  const before = scopeAt(draft, namespace.id, name)
  const template =
    said.template === undefined ? (before?.template ?? '') : readTemplate(said.template, draft.now)
  if (template instanceof Refusal) return template
  const description = said.description ?? before?.description ?? ''
  scopeRows(draft, namespace.id).put(name, { template, description } satisfies ScopeRow)
  return NOTHING
}

function remove({ draft, namespace, fields }: ScopeCall): Outcome {
  const name = fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  const rows = providerRows(draft, namespace.id)
  const users = rows
    .keys()
    .filter(provider => rows.kept<ProviderRow>(provider)!.scopesSupported.includes(name))
  if (users.length > 0) {
    return bad(
      `unable to delete scope ${JSON.stringify(name)} because it is currently referenced by these providers: ${users.join(', ')}`,
    )
  }
  scopeRows(draft, namespace.id).delete(name)
  return NOTHING
}
