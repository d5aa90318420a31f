/**
 * Having a server listen on an address.
 *
 * Owns that no other process shares the port, and telling what was bound. Knows no protocol.
 */
import { once } from 'node:events'
import type { Server } from 'node:net'

/** Listens; port 0 binds a free one. Gives what was bound, and throws the system's error. */
export async function listenOn(
  server: Server,
  host: string,
  port: number,
): Promise<{ host: string; port: number }> {
  server.listen({ host, port, exclusive: true })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') return { host, port }
  return { host: address.address, port: address.port }
}
