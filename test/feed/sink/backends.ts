/** Instances that answer by HTTP with their name, for tests of sinks with real load balancers. */
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Backend {
  readonly id: string
  readonly address: string
  readonly port: number
  /** Answers that wait until they are let go by name: requests to /wait do. */
  waiting(): number
  letGo(): void
}

/** Starts one; it ends with the test. */
export async function startBackend(t: Test, id: string): Promise<Backend> {
  const held: (() => void)[] = []
  const server = createServer((incoming, answer) => {
    if (incoming.url === '/wait') held.push(() => answer.end(id))
    else answer.end(id)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return {
    ...{ id, address: '127.0.0.1', port },
    waiting: () => held.length,
    letGo() {
      for (const go of held.splice(0)) go()
    },
  }
}

/** Asks a port once; the text of the answer, or its status where that is not 200. */
export function askOnce(port: number, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, agent: false }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', part => {
        text += part
      })
      answer.on('end', () => resolve(answer.statusCode === 200 ? text : `${answer.statusCode}`))
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** Who answers through a load balancer: each once, in order. */
export async function answersOf(port: number, asked = 12): Promise<string> {
  const seen = new Set<string>()
  for (let i = 0; i < asked; i += 1) seen.add(await askOnce(port))
  return [...seen].sort().join(' ')
}
