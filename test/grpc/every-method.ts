/**
 * Every method that the program serves, without what answers it: for tests of all of them.
 */
import type { GrpcMethod } from '../../src/grpc/declare.ts'
import { healthService } from '../../src/grpc/health.ts'
import { reflectionService } from '../../src/grpc/reflection.ts'
import { type GrpcPorts, servicesOf } from '../../src/grpc/services.ts'

/** Stands for every port: nothing of it may be called while methods are only declared. */
const anything: unknown = new Proxy(() => {}, {
  get: (_target, name) => (name === Symbol.toPrimitive ? () => '' : anything),
  apply() {
    throw new Error('a port was called while methods were declared')
  },
})

export const everyMethod = (): readonly GrpcMethod[] => [
  ...servicesOf(anything as GrpcPorts),
  ...healthService(anything as Parameters<typeof healthService>[0]),
  ...reflectionService(anything as Parameters<typeof reflectionService>[0]),
]

/** The full name of a method's service. */
export const serviceOf = ({ path }: GrpcMethod): string => path.slice(0, path.indexOf('/'))
