/**
 * Free ports of 127.0.0.1 for members, from a range below those that the system hands out.
 */
import { createServer } from 'node:net'

const FIRST_PORT = 24_000
const LAST_PORT = 29_999
/** More than a file takes, so that neighbours in time are none in ports. */
const SPREAD = 97
const tried = new Set<number>()

/** A port that nobody listens on and that was not given before. */
export async function memberPort(): Promise<number> {
  const count = LAST_PORT - FIRST_PORT + 1
  for (let step = 0; step < count; step++) {
    // Files that run at the same time begin at different places.
    const port = FIRST_PORT + ((process.pid * SPREAD + step) % count)
    if (tried.has(port) || !(await isFree(port))) continue
    tried.add(port)
    return port
  }
  throw new Error(`no port is free between ${FIRST_PORT} and ${LAST_PORT}`)
}

/** Ports that follow each other: servers have theirs at the same distance. */
export async function portsInRow(): Promise<readonly [number, number, number]> {
  for (;;) {
    const [first, second, third] = [await memberPort(), await memberPort(), await memberPort()]
    if (second === first + 1 && third === first + 2) return [first, second, third]
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
