/**
 * `sys/policies/password`: what passwords that engines make look like.
 *
 * Owns their paths and rows. A policy that no password can keep is refused when it is written.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../declare.ts'
import { str } from '../../field.ts'
import { drawPassword, parsePasswordPolicy, plainText } from '../../policy/mod.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'

const passwordFields = {
  name: str('The name.'),
  policy: str('The rules: HCL or JSON, or the base64 form of either.'),
}

type PasswordCall = Call<typeof passwordFields>

/** Password policies by name. */
const passwordRows = ({ draft, namespace }: Pick<Call, 'draft' | 'namespace'>): Storage =>
  draft.area(namespace.id, 'password-policies')

interface PasswordRow {
  readonly text: string
}

const PASSWORD_HELP = {
  synopsis: 'A password policy: how long a password is, and what it is made of.',
  description: 'Engines that make passwords are told its name.',
}

/** All paths of this file. */
export const passwordPaths: readonly PathSpec[] = [
  path({
    pattern: 'policies/password',
    help: { synopsis: 'The names of password policies.', description: '' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists password policies.',
        answer: shape.keys,
        run: call => {
          const keys = passwordRows(call).keys()
          return keys.length === 0 ? NOTHING : { data: { keys } }
        },
      },
    },
  }),
  path({
    pattern: 'policies/password/{name}',
    help: PASSWORD_HELP,
    fields: passwordFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads a password policy.',
        answer: shape.object({ policy: shape.text }),
        run: readPassword,
      },
      update: {
        summary: 'Writes a password policy; one that no password can keep is refused.',
        run: writePassword,
        examples: [{ policy: 'length = 20\nrule "charset" { charset = "abc" min-chars = 1 }' }],
      },
      delete: {
        summary: 'Deletes a password policy.',
        run: call => {
          passwordRows(call).delete(call.fields.name ?? '')
          return NOTHING
        },
      },
    },
  }),
  path({
    pattern: 'policies/password/{name}/generate',
    help: PASSWORD_HELP,
    fields: passwordFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Makes a password by the policy.',
        answer: shape.object({ password: shape.text }),
        run: generate,
      },
    },
  }),
]

function readPassword(call: PasswordCall): Outcome {
  const row = passwordRows(call).get<PasswordRow>(call.fields.name ?? '')
  return row === undefined ? NOTHING : { data: { policy: row.text } }
}

function writePassword(call: PasswordCall): Outcome {
  const { name = '', policy = '' } = call.fields
  if (policy === '') return new Refusal(400, 'missing policy')
  const text = plainText(policy)
  const parsed = parsePasswordPolicy(text)
  if (parsed instanceof Refusal) return parsed
  passwordRows(call).put(name, { text } satisfies PasswordRow)
  return NOTHING
}

function generate(call: PasswordCall): Outcome {
  const row = passwordRows(call).get<PasswordRow>(call.fields.name ?? '')
  if (row === undefined) return new Refusal(404, 'policy does not exist')
  const policy = parsePasswordPolicy(row.text)
  if (policy instanceof Refusal) {
    return new Refusal(500, 'stored password policy configuration failed to parse')
  }
  return { data: { password: drawPassword(policy, call.random) } }
}
