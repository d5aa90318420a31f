/**
 * An auth method of the tests: whoever names himself is who he says, with the token he asks for.
 *
 * Its fields are those of every login's role.
 */
import { Refusal } from '../../../src/base/errors.ts'
import { type Engine, path } from '../../../src/secrets/declare.ts'
import { str } from '../../../src/secrets/field.ts'
import * as shape from '../../../src/secrets/shape.ts'
import { loginAnswer } from '../../../src/secrets/token/login.ts'
import {
  readTokenParams,
  showTokenParams,
  type TokenParams,
  tokenFields,
  tokenParamShapes,
} from '../../../src/secrets/token/params.ts'

const name = str('Who.')
const fields = { name, ...tokenFields }

/** The type that it is mounted by, as an auth method. */
export const METHOD = 'trusting'

export const trustingMethod: Engine = {
  type: METHOD,
  kind: 'auth',
  help: 'Believes everybody.',
  isMountable: true,
  paths: () => paths,
  renew: (draft, mount, token) =>
    draft.area('root', `mount.${mount.uuid}`).get<TokenParams>(token.internal.name!) ??
    new Refusal(400, 'the role is gone'),
}

const paths = [
  path({
    pattern: 'role/{name}',
    help: { synopsis: 'A role.', description: '' },
    fields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Writes a role.',
        run: call => {
          const at = call.fields.name!
          const params = readTokenParams(call, call.storage.get<TokenParams>(at))
          if (params instanceof Refusal) return params
          call.storage.put(at, params)
          return {}
        },
      },
      read: {
        summary: 'Reads a role.',
        answer: shape.object(tokenParamShapes),
        run: call => {
          const params = call.storage.get<TokenParams>(call.fields.name!)
          return params === undefined ? {} : { data: showTokenParams(params) }
        },
      },
      delete: {
        summary: 'Deletes a role.',
        run: call => {
          call.storage.delete(call.fields.name!)
          return {}
        },
      },
    },
  }),
  path({
    pattern: 'login/{name}',
    help: { synopsis: 'A login.', description: '' },
    fields: { name },
    access: 'open',
    operations: {
      update: {
        summary: 'Logs in.',
        givesAuth: true,
        run: call => {
          const at = call.fields.name!
          const params = call.storage.get<TokenParams>(at)
          if (params === undefined) return new Refusal(400, 'no role')
          const alias = { name: at, metadata: { at } }
          return loginAnswer(call, {
            ...{ alias, displayName: at, metadata: { user: at }, params },
            internal: { name: at },
          })
        },
      },
    },
  }),
]
