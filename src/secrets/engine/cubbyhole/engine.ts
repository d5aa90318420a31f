/**
 * The cubbyhole: what a token keeps for itself, as the key/value engine keeps secrets.
 *
 * Owns that nobody but the token finds it. How a secret is read and written is `kv` version 1's.
 */
import { OperatingCode, OperatingError, Refusal } from '../../../base/errors.ts'
import type { Call, Engine, OperationSpec, Outcome, PathSpec } from '../../declare.ts'
import { cubbyholeOf } from '../../token/cubbyhole.ts'
import { kvV1Paths } from '../kv/v1.ts'

const BATCH = new Refusal(400, "cubbyhole operations are only supported by 'service' type tokens")

/** The same call on the rows of the token that asks. */
function ofToken(call: Call): Call | Refusal {
  const { token, hash } = call.who!
  if (token.type === 'batch') return BATCH
  const storage = cubbyholeOf(call.draft, { namespaceId: token.namespaceId, hash })
  if (storage !== undefined) return { ...call, storage }
  throw new OperatingError(OperatingCode.damaged, 'a namespace has no cubbyhole')
}

function ownOperation(spec: OperationSpec): OperationSpec {
  if ('act' in spec) return spec
  const run = (call: Call): Outcome => {
    const own = ofToken(call)
    return own instanceof Refusal ? own : spec.run(own)
  }
  return { ...spec, run }
}

function ownPath(spec: PathSpec): PathSpec {
  const entries = Object.entries(spec.operations).map(
    ([name, operation]) => [name, ownOperation(operation)] as const,
  )
  return {
    ...spec,
    operations: Object.fromEntries(entries),
    exists(call) {
      const own = ofToken(call)
      return !(own instanceof Refusal) && spec.exists!(own)
    },
  }
}

const paths = kvV1Paths.map(ownPath)

export const cubbyholeEngine: Engine = {
  type: 'cubbyhole',
  kind: 'secret',
  help: 'Keeps secrets of a token, until it ends.',
  isMountable: false,
  paths: () => paths,
}
