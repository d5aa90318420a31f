/**
 * The gRPC face of an agent: made out of its configuration, listening where that says.
 *
 * Owns where it listens and what it takes over at a reload. What is served is handed in; for a
 * server by grpc-server.ts.
 */
import type { Audit } from '../audit/audit.run.ts'
import { assert } from '../base/assert.ts'
import type { GrpcMethod } from '../grpc/declare.ts'
import type { GrpcPipelineOptions } from '../grpc/pipeline.ts'
import { createGrpcFace, type GrpcFace, type GrpcOptions } from '../grpc/server.ts'
import type { SettledConfig } from './config.ts'
import { socketPathOf } from './config-listen.ts'
import { secureOptionsOf } from './config-tls.ts'
import type { Reloadable } from './reload.ts'
import type { FaceAddress } from './running.ts'

/** What the face stands on beside its methods. */
export interface GrpcGround extends Omit<GrpcPipelineOptions, 'audit'> {
  readonly audit?: Audit
}

/** Makes the face; it answers once it listens. */
export const grpcOf = (
  { http, grpc }: SettledConfig,
  { audit, ...ground }: GrpcGround,
  methods: readonly GrpcMethod[],
  more: Pick<GrpcOptions, 'health' | 'fallback' | 'reflects'> = {},
): GrpcFace =>
  createGrpcFace({
    ...ground,
    ...(audit?.isOn ? { audit } : {}),
    ...grpc,
    methods,
    ...more,
    handshakeTimeoutMs: http.handshakeTimeoutMs,
    // Counted apart from those of HTTP.
    connectionsPerClient: http.connectionsPerClient,
  })

/** Has the face listen wherever the configuration says; gives where that is. */
export async function listenGrpc(face: GrpcFace, config: SettledConfig): Promise<FaceAddress[]> {
  const { addresses, ports, unixSockets, tls } = config
  const found: FaceAddress[] = []
  const open = async (
    name: 'grpc' | 'grpc_tls',
    hosts: readonly string[],
    port: number,
  ): Promise<void> => {
    const secure = name === 'grpc' ? undefined : secureOptionsOf(tls.grpc)
    assert(name === 'grpc' || secure !== undefined, 'the configuration has a certificate for gRPC')
    for (const host of hosts) {
      const path = socketPathOf(host)
      if (path === undefined) found.push({ face: name, ...(await face.listen(host, port, secure)) })
      else {
        await face.listenFile({ path, ...unixSockets }, secure)
        found.push({ face: name, host, port: 0 })
      }
    }
  }
  await open('grpc', addresses.grpc, ports.grpc)
  if (addresses.grpcTls.length > 0) await open('grpc_tls', addresses.grpcTls, ports.grpcTls)
  return found
}

/** What the face takes over while it runs. */
export const grpcReloadables = (face: GrpcFace): readonly Reloadable[] => [
  {
    takes: ['http.connectionsPerClient'],
    apply: next => face.limitClients(next.http.connectionsPerClient),
  },
  {
    takes: ['tls'],
    apply(next) {
      const secure = secureOptionsOf(next.tls.grpc)
      // Without a certificate there is no listener, or it waits for a restart to go.
      if (secure !== undefined) face.secure(secure)
    },
  },
]
