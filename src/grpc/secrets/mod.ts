/**
 * The services of the secrets' half.
 *
 * Owns the list, and what is there where a half is off.
 */
import type { GrpcMethod } from '../declare.ts'
import { certificatesService } from './certificates.ts'
import type { SecretsGrpcPorts } from './door.ts'
import { type IdentityGrpcPorts, identityService } from './identity.ts'
import { secretsService } from './secrets.ts'
import { transitService } from './transit.ts'

/** What they are made of. */
export interface SecretsHalfPorts {
  /** The secrets' half. */
  readonly secrets: SecretsGrpcPorts | undefined
  /** Logins by auth methods of Consul's API. */
  readonly login: IdentityGrpcPorts['login']
}

/** The methods of all whose ports are there. */
export const secretsServices = ({ secrets, login }: SecretsHalfPorts): readonly GrpcMethod[] => [
  ...(secrets === undefined
    ? []
    : [...secretsService(secrets), ...transitService(secrets), ...certificatesService(secrets)]),
  ...(secrets === undefined && login === undefined ? [] : identityService({ secrets, login })),
]
