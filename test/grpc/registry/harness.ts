/**
 * The registry's gRPC services and its HTTP face on the same rooms.
 */
import type { Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../src/base/clock.ts'
import type { GrpcMethod } from '../../../src/grpc/declare.ts'
import { registryServices } from '../../../src/grpc/registry/mod.ts'
import type { RegistryGrpcPorts } from '../../../src/grpc/registry/ports.ts'
import { type Face, type FaceOptions, NODE, startFace } from '../../http/harness.ts'
import { type Ended, type Headers, type OpenStream, startGrpc } from '../harness.ts'

export interface BothFaces {
  /** The HTTP one, with the store. */
  readonly face: Face
  readonly ports: RegistryGrpcPorts
  readonly methods: readonly GrpcMethod[]
  /** Calls a method by `Service/Method` of gatehouse.v1, or by its full name. */
  call(name: string, request?: object, headers?: Headers): Promise<Ended>
  /** The same, of what ends well: the answer. */
  // biome-ignore lint/suspicious/noExplicitAny: tests know what they asked for
  ask(name: string, request?: object, headers?: Headers): Promise<any>
  open(name: string, headers?: Headers): Promise<OpenStream>
}

export interface BothOptions extends FaceOptions {
  readonly grpcClock?: Clock
  readonly ports?: Partial<RegistryGrpcPorts>
}

/** Starts both; they are stopped at the end of the test. */
export async function startBoth(t: Test, options: BothOptions = {}): Promise<BothFaces> {
  const face = await startFace(t, options)
  const { registry, agent, bounds, cluster, snapshots, acl, asker, identity, reload } = face.rooms
  const ports: RegistryGrpcPorts = {
    ...{ registry, agent, bounds, cluster, snapshots, acl, asker, reload },
    dns: async () => undefined,
    authority: face.authority,
    clock: options.grpcClock ?? systemClock,
    random: systemRandom,
    identity: { datacenter: identity.datacenter, nodeName: NODE },
    waits: () => ({ queryWaitDefaultMs: 300_000, queryWaitMaxMs: 600_000 }),
    ...options.ports,
  }
  const methods = registryServices(ports)
  const { client } = await startGrpc(t, { methods, authority: face.authority })
  const methodOf = (name: string): GrpcMethod => {
    const found = methods.find(({ path }) => path === name || path === `gatehouse.v1.${name}`)
    if (found === undefined) throw new Error(`there is no method ${name}`)
    return found
  }
  const call = (name: string, request: object = {}, headers: Headers = {}): Promise<Ended> =>
    client.call(methodOf(name), request, headers)
  return {
    ...{ face, ports, methods, call },
    async ask(name, request, headers) {
      const ended = await call(name, request, headers)
      t.equal(ended.code, 'OK', `${name}: ${ended.text}`)
      return ended.answers[0] ?? {}
    },
    open: (name, headers = {}) => client.open(methodOf(name), headers),
  }
}
