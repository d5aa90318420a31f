/**
 * The services that are served beside health and reflection.
 *
 * Owns the list and what its services are made of: each service is one file, a function of its
 * ports that gives its methods. A half of the server that is off hands in no port, and its services
 * are absent.
 */
import type { GrpcMethod } from './declare.ts'

/** What the services ask: ports of the rooms. */
// biome-ignore lint/complexity/noBannedTypes: the first service adds the first port
export type GrpcPorts = {}

/** The methods of all services whose ports are there. */
export const servicesOf = (_ports: Partial<GrpcPorts>): readonly GrpcMethod[] => []
