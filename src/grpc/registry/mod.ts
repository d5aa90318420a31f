/**
 * The services of the registry, in order.
 *
 * Owns the list: a service that is not in it is not served.
 */
import type { GrpcMethod } from '../declare.ts'
import { localService } from './agent.ts'
import { consulServices } from './consul.ts'
import { kvService } from './kv.ts'
import { operatorService } from './operator.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import { registryService } from './registry.ts'
import { sessionsService } from './sessions.ts'

/** The methods of all of them. */
export const registryServices = (ports: RegistryGrpcPorts): readonly GrpcMethod[] => [
  ...registryService(ports),
  ...localService(ports),
  ...kvService(ports),
  ...sessionsService(ports),
  ...operatorService(ports),
  ...consulServices(ports),
]
