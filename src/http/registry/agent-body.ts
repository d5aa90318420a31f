/**
 * Definitions of services and checks as an agent takes them: from the bodies of its endpoints and
 * from configuration files, which hold the same.
 *
 * Owns their shapes and the reading into what the agent keeps. Must not change anything: whether
 * a definition is taken is decided before the first part of it is registered.
 */
import { Refusal } from '../../base/errors.ts'
import { localCheck } from '../../checks/given.ts'
import { agentService } from '../../registry/definition.ts'
import type { CheckEntry, CheckRegistration, ServiceRegistration } from '../../registry/local.ts'
import { isRefusal } from '../../store/store.ts'
import type { CheckDefinition } from '../../store/tables/check.ts'
import {
  int,
  isZero,
  list,
  nullable,
  type Of,
  object,
  type Shape,
  ShapeError,
  text,
} from '../shape.ts'
import { definitionFields, readDefinition } from './check-definition.ts'
import { enterpriseFields, readService, readStatus, serviceFields } from './service-body.ts'

export const checkBodyShape = object({
  ID: text,
  CheckID: text,
  Name: text,
  Notes: text,
  Status: text,
  ServiceID: text,
  Token: text,
  Args: list(text),
  SuccessBeforePassing: int,
  FailuresBeforeWarning: int,
  FailuresBeforeCritical: int,
  ...definitionFields,
  ...enterpriseFields,
})
type CheckBody = Of<typeof checkBodyShape>

export const serviceBodyShape = object({
  Name: text,
  Token: text,
  Check: nullable(checkBodyShape),
  Checks: list(checkBodyShape),
  ...serviceFields,
})
type ServiceBody = Of<typeof serviceBodyShape>

/** A service out of a file's definition; refused with the text that a body would be. */
export function serviceFromFile(node: string, body: unknown): ServiceRegistration | Refusal {
  return fromFile(serviceBodyShape, body, decoded => {
    const given = serviceGiven(node, decoded)
    return isRefusal(given) ? given : { ...given, replaceChecks: false, token: decoded.Token }
  })
}

/** A check out of a file's definition. */
export function checkFromFile(body: unknown): CheckRegistration | Refusal {
  return fromFile(checkBodyShape, body, decoded => {
    const given = checkGiven(decoded)
    return isRefusal(given) ? given : { ...given, token: decoded.Token }
  })
}

function fromFile<B, T>(shape: Shape<B>, body: unknown, read: (decoded: B) => T): T | Refusal {
  try {
    return read(shape.decode(body, 'definition'))
  } catch (error) {
    if (error instanceof ShapeError) return new Refusal(400, error.message)
    throw error
  }
}

/** A service as a body defines it, with its checks. */
export function serviceGiven(
  node: string,
  body: ServiceBody,
): Pick<ServiceRegistration, 'service' | 'checks'> | Refusal {
  const given = readService(node, body.Name, body)
  if (isRefusal(given)) return given
  const service = agentService(given)
  if (isRefusal(service)) return service
  // An empty check beside a service is no check.
  const single = isZero(body.Check) ? [] : [body.Check as CheckBody]
  const checks: CheckEntry[] = []
  for (const one of [...single, ...body.Checks]) {
    const check = readCheck(one, "Status for checks must 'passing', 'warning', 'critical'")
    if (isRefusal(check)) return check
    checks.push(check)
  }
  return { service, checks }
}

/** A check that stands alone, as a body defines it. */
export function checkGiven(body: CheckBody): CheckEntry | Refusal {
  if (body.Name === '') return new Refusal(400, 'Missing check name')
  return readCheck(body, 'Bad check status')
}

function readCheck(body: CheckBody, badStatus: string): CheckEntry | Refusal {
  const status = readStatus(body.Status)
  if (isRefusal(status)) return new Refusal(400, badStatus)
  const check = localCheck({
    checkId: body.ID || body.CheckID,
    name: body.Name,
    notes: body.Notes,
    serviceId: body.ServiceID,
    definition: definitionGiven(body),
    successBeforePassing: body.SuccessBeforePassing,
    failuresBeforeWarning: body.FailuresBeforeWarning,
    failuresBeforeCritical: body.FailuresBeforeCritical,
  })
  return isRefusal(check) ? check : { check, status: status ?? '' }
}

/** `Args` is another name of `ScriptArgs`, and HTTP/2 is asked with TLS where nothing is said. */
function definitionGiven(body: CheckBody): CheckDefinition {
  const { Args, ScriptArgs, H2PING, H2PingUseTLS } = body
  return readDefinition({
    ...body,
    ScriptArgs: isZero(ScriptArgs) ? Args : ScriptArgs,
    H2PingUseTLS: isZero(H2PING) ? undefined : (H2PingUseTLS ?? true),
  })
}
