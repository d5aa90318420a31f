/**
 * Definitions that no request of a client's brought, in the form of the request that would have:
 * those of configuration files, and what agents that are no servers keep on their nodes.
 *
 * Owns that conditions see the same operation, name and body, whichever way a definition came. Of a
 * check nothing is told that may be secret, and of a service what the catalog has of it. Pure.
 */
import { Caller, everybody, nothingUnmet, principalOf, type Who } from '../base/who.ts'
import type { CheckRow } from '../store/tables/check.ts'
import type { ServiceRow } from '../store/tables/service.ts'

/** What is defined. */
export type Defined = { readonly service: ServiceRow } | { readonly check: DefinedCheck }
type DefinedCheck = Pick<CheckRow, 'checkId' | 'name' | 'notes' | 'serviceId'>

/**
 * Whoever a definition is written for, as if he had sent it to the agent at `remote`. Everybody
 * stays everybody, whom nothing governs.
 */
export function asRegistration(who: Who, defined: Defined, remote: string): Who {
  if (who === everybody) return who
  const lacked = who instanceof Caller ? who.lacked : undefined
  const isService = 'service' in defined
  const body = isService ? serviceBody(defined.service) : checkBody(defined.check)
  return new Caller(
    principalOf(who),
    {
      ...{ id: '', operation: isService ? REGISTER_SERVICE : REGISTER_CHECK, name: '', query: '' },
      ...{ remote, body, bodySizeBytes: JSON.stringify(body).length, overrides: false },
      ...{ isRenewal: false, recorded: false, ...nothingUnmet },
    },
    lacked,
  )
}

/** The names of conditions that did not hold and let a registration pass. */
export const advisoriesOf = (who: Who): readonly string[] => who.request?.advisories ?? []

const REGISTER_SERVICE = 'PUT /v1/agent/service/register'
const REGISTER_CHECK = 'PUT /v1/agent/check/register'

const serviceBody = (row: ServiceRow): object => ({
  ...{ ID: row.id, Name: row.name, Kind: row.kind, Tags: row.tags, Address: row.address },
  TaggedAddresses: Object.fromEntries(
    Object.entries(row.taggedAddresses).map(([tag, { address, port }]) => [
      tag,
      { Address: address, Port: port },
    ]),
  ),
  ...{ Meta: row.meta, Port: row.port, SocketPath: row.socketPath },
  Ports: row.ports.map(({ name, port, isDefault }) => ({
    ...{ Name: name, Port: port, Default: isDefault },
  })),
  Weights: { Passing: row.weights.passing, Warning: row.weights.warning },
  EnableTagOverride: row.enableTagOverride,
  Connect: { Native: row.connectNative },
})

const checkBody = ({ checkId, name, notes, serviceId }: DefinedCheck) => ({
  ...{ ID: checkId, CheckID: checkId, Name: name, Notes: notes, ServiceID: serviceId },
})
