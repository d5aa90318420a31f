/**
 * The only importer of @grpc/grpc-js: loads it when it is first needed, since it is large.
 *
 * Owns what is set before it loads. Who speaks with it: grpc.ts for agents among themselves and
 * for clients of ours, grpc-public.ts for everybody's.
 */
import type * as Grpc from '@grpc/grpc-js'

export type { Grpc }

/** The library, without a word of its own to the terminal. */
export async function loadGrpc(): Promise<typeof Grpc> {
  // Read by the library when it loads: names are resolved outside of the disk's thread pool.
  process.env.GRPC_NODE_USE_ALTERNATIVE_RESOLVER ??= 'true'
  const grpc = await import('@grpc/grpc-js')
  grpc.setLogVerbosity(grpc.logVerbosity.NONE)
  return grpc
}
