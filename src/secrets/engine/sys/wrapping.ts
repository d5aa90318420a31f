/**
 * `sys/wrapping`: reading what was wrapped, looking at it, wrapping it anew.
 *
 * Owns who may: whoever has the token of a wrapping, and whoever may use the path for others. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { authorize } from '../../access.ts'
import { type Call, type Outcome, type PathSpec, path } from '../../declare.ts'
import { str } from '../../field.ts'
import * as shape from '../../shape.ts'
import { principalOf } from '../../token/principal.ts'
import { shownKey } from '../../wrapping/jwt.ts'
import { NOT_WRAPPING, rewrap, unwrap, wrappingOf } from '../../wrapping/wrap.ts'

const fields = { token: str('The token of the wrapping.', { isSecret: true }) }
type WrappingCall = Call<typeof fields>

const lookup = {
  summary: 'Shows when and for how long something was wrapped.',
  answer: shape.object({
    creation_time: shape.time,
    creation_ttl: shape.int,
    creation_path: shape.text,
  }),
  effect: 'reads' as const,
  run: shown,
}

/** All paths of this file. */
export const wrappingPaths: readonly PathSpec[] = [
  path({
    pattern: 'wrapping/wrap',
    help: {
      synopsis: 'Wraps what is sent.',
      description: 'For so long as the header `X-Vault-Wrap-TTL` says.',
    },
    fields: {},
    access: 'authorized',
    takesAnyField: true,
    operations: {
      update: {
        ...{ summary: 'Wraps what is sent.', answer: shape.anyObject },
        examples: [{ password: 'example' }],
        run: ({ data, request }) =>
          request.wrapTtlMs === undefined
            ? new Refusal(400, 'endpoint requires response wrapping to be used')
            : { data },
      },
    },
  }),
  path({
    pattern: 'wrapping/unwrap',
    help: {
      synopsis: 'Gives what was wrapped, once.',
      description: 'The token of the wrapping is the one that asks, or `token`.',
    },
    fields,
    access: 'open',
    countsUses: true,
    operations: {
      update: {
        ...{ summary: 'Gives what was wrapped, once.', answer: shape.anything },
        run: unwrapped,
        examples: [{ token: 'hvs.example' }],
      },
    },
  }),
  path({
    pattern: 'wrapping/lookup',
    help: {
      synopsis: 'Shows when and for how long something was wrapped.',
      description: 'The token is not used up by it.',
    },
    fields,
    access: 'open',
    operations: { update: lookup, read: lookup },
  }),
  path({
    pattern: 'wrapping/rewrap',
    help: {
      synopsis: 'Gives another token for what was wrapped.',
      description: 'For as long as it was wrapped for at first; the token that there was ends.',
    },
    fields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Gives another token for what was wrapped.',
        run: call => {
          const { token = '' } = call.fields
          if (token === '') return new Refusal(400, 'missing "token" value in input')
          const found = wrappingOf(call.draft, token)
          return found === undefined ? NOT_WRAPPING : { wrapped: rewrap(call.draft, found) }
        },
      },
    },
  }),
  path({
    pattern: 'wrapping/pubkey',
    help: {
      synopsis: 'The key that signs wrapping tokens.',
      description: 'Those that are asked for with `X-Vault-Wrap-Format: jwt`: ES512 on P-521.',
    },
    fields: {},
    access: 'open',
    operations: {
      read: {
        summary: 'Shows the public key that signs wrapping tokens, as the numbers of its point.',
        answer: shape.object({ jwt_x: shape.text, jwt_y: shape.text, jwt_curve: shape.text }),
        run: ({ draft }) => ({ data: shownKey(draft) }),
      },
    },
  }),
]

const tokenOf = ({ fields: { token = '' }, secret }: WrappingCall): string =>
  token === '' ? secret : token

function shown(call: WrappingCall): Outcome {
  const token = tokenOf(call)
  if (token === '') return new Refusal(400, 'missing "token" value in input')
  const found = wrappingOf(call.draft, token)
  if (found === undefined) return NOT_WRAPPING
  const { createdAtMs, ttlMs, path: at } = found.token
  return {
    data: {
      creation_time: new Date(createdAtMs).toISOString(),
      creation_ttl: Math.floor(ttlMs / 1_000),
      creation_path: at,
    },
  }
}

function unwrapped(call: WrappingCall): Outcome {
  const { draft, secret } = call
  const token = tokenOf(call)
  if (token === '') return new Refusal(400, 'missing "token" value in input')
  if (token !== secret) return forAnother(call, token)
  const found = wrappingOf(draft, token)
  return found === undefined ? NOT_WRAPPING : { raw: unwrap(draft, found) }
}

/** Somebody reads what another was given to read: he must be allowed to. */
function forAnother(call: WrappingCall, token: string): Outcome {
  const { draft, secret, namespace, mount, data, request } = call
  const who = principalOf(draft, secret, request.remote)
  if (who instanceof Refusal) return who
  const granted = authorize(draft, who, {
    ...{ operation: 'update', namespace, path: mount.path + call.path, data },
    ...{ access: 'authorized', wrapTtlMs: request.wrapTtlMs },
  })
  if (granted instanceof Refusal) return granted
  const found = wrappingOf(draft, token)
  return found === undefined ? NOT_WRAPPING : { raw: unwrap(draft, found) }
}
