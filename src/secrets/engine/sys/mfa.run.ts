/**
 * `sys/mfa/validate`: finishes a login that waits for its second factors.
 *
 * Owns the path. Whoever has the id of a login may try; what is shown is looked at before the
 * transaction where a service is asked, and decided in one: the login ends with its token, so that
 * it gives one alone.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Call, type Engine, type Outcome, path, prepared } from '../../declare.ts'
import { map, str } from '../../field.ts'
import { FactorAsker, type Said, toldBy } from '../../mfa/ask.run.ts'
import { countAsked } from '../../mfa/attempt.ts'
import { type Credentials, payloadCredentials } from '../../mfa/credentials.ts'
import { type Demand, demandsOn } from '../../mfa/enforcement.ts'
import type { FactorAsks } from '../../mfa/factor/factor.ts'
import { judge } from '../../mfa/judge.ts'
import { countPending, endPending, type PendingRow, pendingOf } from '../../mfa/pending.ts'
import type { EntityAt } from '../../mfa/secret.ts'
import { type MountRow, mountAt } from '../../mount/mount.ts'
import { refuseLeases } from '../../quota/leases.ts'
import { finishLogin } from '../../token/login.ts'

const fields = {
  mfa_request_id: str('The id that the login was answered with.', { isSecret: true }),
  mfa_payload: map('By the id of a method, or its name: a list with the passcode, or without.'),
}
type ValidateCall = Call<typeof fields, Said>

/** The paths of this file; `engines` know whether a login still stands. */
export function mfaPaths(asks: FactorAsks, engines: readonly Engine[]) {
  const asker = new FactorAsker(asks)
  return [
    path({
      pattern: 'mfa/validate',
      help: {
        synopsis: 'Finishes a login by its second factors.',
        description: 'Gives the token that the login was not answered with.',
      },
      fields,
      access: 'open',
      operations: {
        update: prepared<typeof fields, Said>({
          summary: 'Gives the token of a login, for its second factors.',
          givesAuth: true,
          prepare: call => askServices(call, asker),
          run: call => validate(call, engines),
          examples: [
            {
              mfa_request_id: 'the-id-of-the-login',
              mfa_payload: { 'the-id-of-a-method': ['123456'] },
            },
          ],
        }),
      },
    }),
  ]
}

const bad = (text: string): Refusal => new Refusal(400, text)
const INVALID = bad('invalid request ID')

/** A login that waits, and what it must show. */
interface Waiting {
  readonly id: string
  readonly row: PendingRow
  readonly mount: MountRow
  readonly at: EntityAt
  readonly demands: readonly Demand[]
  readonly credentials: Credentials
}

function waitingOf(call: Pick<ValidateCall, 'draft' | 'namespace' | 'fields'>): Waiting | Refusal {
  const { draft, namespace, fields: said } = call
  const { mfa_request_id: id = '', mfa_payload: payload = {} } = said
  if (id === '') return bad('missing request ID')
  const credentials = payloadCredentials(payload)
  if (credentials instanceof Refusal) return credentials
  const row = pendingOf(draft, namespace.id, id)
  const mount = row && mountAt(draft, namespace, 'auth', row.mountPath)
  if (row === undefined || mount?.uuid !== row.mountUuid || mount.tainted) return INVALID
  const { entityId } = row
  const demands = demandsOn(draft, { namespace, mount, entityId })
  if (demands.length === 0) return bad('found nil or empty MFAEnforcement configuration')
  const at = { namespaceId: namespace.id, entityId }
  return { id, row, mount, at, demands, credentials }
}

function askServices(call: Call<typeof fields>, asker: FactorAsker) {
  const waiting = waitingOf(call)
  if (waiting instanceof Refusal) return waiting
  const { id, row } = waiting
  const { name: aliasName } = row.login.alias
  return asker.ask(call.draft, { ...waiting, key: id, aliasName, request: call.request })
}

function validate(call: ValidateCall, engines: readonly Engine[]): Outcome {
  const { draft, namespace, request, prepared: said } = call
  const waiting = waitingOf(call)
  if (waiting instanceof Refusal) return waiting
  const { id, row, mount } = waiting
  const outcome = judge(draft, waiting, toldBy(said))
  for (const [method, one] of said) countAsked(draft, waiting.at, method, one)
  if (!outcome.passed) {
    // An answer, and no refusal: what was tried is counted.
    countPending(draft, namespace.id, id)
    return { status: 403, errors: [outcome.reason] }
  }
  endPending(draft, namespace.id, id)
  const place = { draft, namespace, mount, path: row.path, remote: request.remote }
  const engine = engines.find(({ kind, type }) => kind === 'auth' && type === mount.type)
  const answer = finishLogin(place, row.login, row.entityId, engine ?? {})
  if (answer instanceof Refusal) return answer
  // Quotas hold for the mount of the login.
  const quotaPlace = { namespace, mountPath: `auth/${mount.path}`, below: row.path, role: row.role }
  return refuseLeases(draft, quotaPlace, answer, undefined) ?? answer
}
