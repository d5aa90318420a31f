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

/**
 * Cancels a stream in the next turn. Cancelled while Node reads, as a message may lead to, a stream
 * that the other side resets as well can be freed twice, and the process ends: "Assertion failed:
 * (current_nghttp2_memory_) >= (previous_size)", seen once in hours of a test of members that are
 * started anew (nodejs/node#38964, grpc/grpc-node#1652).
 */
export function cancelSoon(stream: { cancel(): void }): void {
  setImmediate(() => stream.cancel())
}
