/**
 * The services that are served beside health and reflection.
 *
 * Owns the list and what its services are made of: each service is one file, a function of its
 * ports that gives its methods. A half of the server that is off hands in no port, and its services
 * are absent.
 */
import type { GrpcMethod } from './declare.ts'
import { type FeedGrpcPorts, feedService } from './feed.ts'
import { registryServices } from './registry/mod.ts'
import type { RegistryGrpcPorts } from './registry/ports.ts'
import { type SecretsHalfPorts, secretsServices } from './secrets/mod.ts'

/** What the services ask: ports of the rooms. */
export interface GrpcPorts extends SecretsHalfPorts {
  readonly registry: RegistryGrpcPorts
  readonly feed: FeedGrpcPorts
}

/** The methods of all services whose ports are there. */
export const servicesOf = ({
  registry,
  feed,
  secrets,
  login,
}: Partial<GrpcPorts>): readonly GrpcMethod[] => [
  ...(registry === undefined ? [] : registryServices(registry)),
  ...(feed === undefined ? [] : feedService(feed)),
  ...secretsServices({ secrets, login }),
]
