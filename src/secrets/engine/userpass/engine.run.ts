/**
 * The auth method `userpass`: people log in by a name and a password.
 *
 * Owns its paths, and the work before their transactions. A name that nobody has, a wrong password
 * and one who is locked out cost the same: a hash is looked at in any case, before anything is
 * decided.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { NOBODYS_HASH } from '../../../base/password-hash.ts'
import { type Call, type Engine, path, prepared } from '../../declare.ts'
import * as shape from '../../shape.ts'
import type { LoginPorts } from './ports.ts'
import {
  bcryptOf,
  type Looked,
  list,
  login,
  loginFields,
  pageFields,
  passwordFields,
  policyFields,
  read,
  refusePassword,
  remove,
  renew,
  userAt,
  userFields,
  userShape,
  write,
  writePassword,
  writePolicies,
} from './users.ts'

function userpassPaths(ports: LoginPorts) {
  const { passwords } = ports
  /** The hash of the password that a request says, or says itself; '' where none is fit. */
  const hashed = async ({
    fields,
  }: Pick<Call<typeof passwordFields>, 'fields'>): Promise<string> => {
    const { password = '', password_hash = '' } = fields
    if (refusePassword(fields) !== undefined) return ''
    return password === '' ? bcryptOf(password_hash) : passwords.hash(password)
  }
  const look = async ({ storage, fields }: Call<typeof loginFields>): Promise<Looked | Refusal> => {
    const { password = '' } = fields
    if (password === '') return new Refusal(400, 'missing password')
    const hash = userAt(storage, fields.username)?.passwordHash ?? NOBODYS_HASH
    const isRight = await passwords.verify(password.slice(0, limits.passwordChars + 1), hash)
    return { hash, isRight }
  }
  return [
    path({
      pattern: 'login/{username}',
      help: { synopsis: 'Logs a user in.', description: 'By name and password.' },
      fields: loginFields,
      access: 'open',
      operations: {
        update: prepared<typeof loginFields, Looked>({
          summary: 'Gives a token.',
          givesAuth: true,
          prepare: look,
          run: call => login(call, ports),
          examples: [{ password: 'example' }],
        }),
      },
    }),
    path({
      pattern: 'users',
      help: { synopsis: 'The names of all users.', description: 'Lists them.' },
      fields: pageFields,
      access: 'authorized',
      operations: { list: { summary: 'Lists all users.', answer: shape.keys, run: list } },
    }),
    path({
      pattern: 'users/{username}',
      help: { synopsis: 'A user.', description: 'The password is never shown.' },
      fields: userFields,
      access: 'authorized',
      exists: ({ storage, fields }) => userAt(storage, fields.username) !== undefined,
      operations: {
        read: { summary: 'Reads a user.', answer: userShape, run: read },
        update: prepared<typeof userFields, string>({
          summary: 'Makes or changes a user.',
          prepare: hashed,
          run: write,
          examples: [{ password: 'example', token_policies: ['web'] }],
        }),
        delete: { summary: 'Deletes a user; his tokens are not renewed any more.', run: remove },
      },
    }),
    path({
      pattern: 'users/{username}/password',
      help: { synopsis: 'The password of a user.', description: 'Sets another.' },
      fields: passwordFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof passwordFields, string>({
          summary: 'Sets the password.',
          prepare: hashed,
          run: writePassword,
        }),
      },
    }),
    path({
      pattern: 'users/{username}/policies',
      help: { synopsis: 'The policies of a user.', description: 'Sets others.' },
      fields: policyFields,
      access: 'authorized',
      operations: { update: { summary: 'Sets the policies of tokens.', run: writePolicies } },
    }),
  ]
}

/** The method, with what the server was told of lockout and the threads that hash passwords. */
export function userpassEngine(ports: LoginPorts): Engine {
  const paths = userpassPaths(ports)
  return {
    type: 'userpass',
    kind: 'auth',
    help: 'People log in by a name and a password.',
    isMountable: true,
    paths: () => paths,
    renew,
  }
}
