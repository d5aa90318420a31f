/**
 * gRPC checks: what `grpc.health.v1.Health/Check` says of a server, or of one service on it.
 *
 * Owns the declaration; connections are grpc.run.ts's, texts grpc-exchange.ts's.
 */
import { defineCheck, networkBounds } from './define.ts'
import { runGrpc } from './grpc.run.ts'

export const grpcCheck = defineCheck({
  kind: 'grpc',
  schema: {
    isAskedBy: ({ grpc }) => grpc !== undefined,
    fields: ['grpc', 'grpcUseTls', 'tlsServerName', 'tlsSkipVerify'],
  },
  bounds: networkBounds,
  startsPrograms: false,
  run: runGrpc,
})
