/**
 * `sys/capabilities` and `sys/internal/ui/resultant-acl`: what a token may do.
 *
 * Owns their paths. A token is shown by itself or by its accessor; nothing of it is told but its
 * rights.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../declare.ts'
import { list, str } from '../../field.ts'
import { capabilitiesAt, resultantAcl } from '../../policy/mod.ts'
import { rightsOf } from '../../rights.ts'
import * as shape from '../../shape.ts'
import { tokenOfAccessor, tokenOfSecret } from '../../token/target.ts'
import type { TokenRow } from '../../token/token.ts'

const pathFields = {
  paths: list('The paths to ask about.'),
  path: list('What older clients call `paths`.', { isDeprecated: true }),
}
const tokenFields = { ...pathFields, token: str('The token.', { isSecret: true }) }
const accessorFields = { ...pathFields, accessor: str('The accessor of the token.') }

const answer = shape.mapOf(shape.texts)
const HELP = 'Each path is told with what may be done there, `root` for everything.'

/** All paths of this file. */
export const capabilityPaths: readonly PathSpec[] = [
  path({
    pattern: 'capabilities',
    help: { synopsis: 'What a token may do at some paths.', description: HELP },
    fields: tokenFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Tells what a token may do.',
        effect: 'reads',
        answer,
        run: ofToken,
        examples: [{ token: 'hvs.example', paths: ['secret/data/app'] }],
      },
    },
  }),
  path({
    pattern: 'capabilities-self',
    help: { synopsis: 'What the asking token may do at some paths.', description: HELP },
    fields: pathFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Tells what the asking token may do.',
        effect: 'reads',
        answer,
        run: call => capabilitiesOf(call, call.who!.token),
        examples: [{ paths: ['secret/data/app'] }],
      },
    },
  }),
  path({
    pattern: 'capabilities-accessor',
    help: { synopsis: 'What the token of an accessor may do at some paths.', description: HELP },
    fields: accessorFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Tells what the token of an accessor may do.',
        effect: 'reads',
        answer,
        run: ofAccessor,
      },
    },
  }),
  path({
    pattern: 'internal/ui/resultant-acl',
    help: { synopsis: 'All that the asking token may do, for user interfaces.', description: '' },
    fields: {},
    access: 'authorized',
    operations: {
      read: {
        summary: 'Tells all that the asking token may do.',
        answer: shape.object({
          root: shape.bool,
          exact_paths: shape.optional(shape.anyObject),
          glob_paths: shape.optional(shape.anyObject),
        }),
        run: resultant,
      },
    },
  }),
]

function ofToken(call: Call<typeof tokenFields>): Outcome {
  const { token: secret = '' } = call.fields
  if (secret === '') return new Refusal(400, 'no token found')
  const found = tokenOfSecret(call.draft, secret)
  return found === undefined ? new Refusal(400, 'invalid token') : capabilitiesOf(call, found.token)
}

function ofAccessor(call: Call<typeof accessorFields>): Outcome {
  const { accessor = '' } = call.fields
  if (accessor === '') return new Refusal(400, 'missing accessor')
  const found = tokenOfAccessor(call.draft, accessor)
  return found === undefined
    ? new Refusal(400, 'invalid accessor')
    : capabilitiesOf(call, found.token)
}

function capabilitiesOf(call: Call<typeof pathFields>, token: TokenRow): Outcome {
  const { draft, namespace, fields, now } = call
  const { paths = [], path: old = [] } = fields
  const asked = paths.length > 0 ? paths : old
  if (asked.length === 0) return new Refusal(400, 'paths must be supplied')
  const rights = rightsOf(draft, token)
  if (rights instanceof Refusal) return rights
  const entries = asked.map(one => {
    const whole = namespace.path + one.replace(/^\/+/, '')
    return [one, capabilitiesAt(rights.compiled, whole, now)] as const
  })
  const single = asked.length === 1 ? [['capabilities', entries[0]![1]] as const] : []
  return { data: Object.fromEntries([...entries, ...single]) }
}

function resultant({ draft, who, now }: Call): Outcome {
  if (who === undefined) return NOTHING
  const rights = rightsOf(draft, who.token)
  return rights instanceof Refusal ? rights : { data: { ...resultantAcl(rights.compiled, now) } }
}
