/**
 * Bodies as they come: whole, in order, left in the middle by either side.
 */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { piecesOf } from '../../src/http/body.ts'

type Take = (message: IncomingMessage) => Promise<string>

/** A server that answers with what `take` makes of a body. */
async function serve(t: Test, take: Take): Promise<number> {
  const server = createServer((message, response) => {
    take(message).then(
      text => response.end(text),
      (error: Error) => response.end(error.message),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function send(port: number, agent: Agent, body: Buffer): Promise<string> {
  const asked = request({ port, host: '127.0.0.1', method: 'PUT', agent })
  asked.end(body)
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}

const large = Buffer.alloc(5_000_000, 'x')

function agentOf(t: Test): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  return agent
}

t.test('a body is whole, however it is cut', async t => {
  const port = await serve(t, async message => {
    let sizeBytes = 0
    for await (const piece of piecesOf(message)) {
      sizeBytes += piece.length
      await new Promise(resolve => setImmediate(resolve))
    }
    return String(sizeBytes)
  })
  const agent = agentOf(t)
  t.equal(await send(port, agent, large), String(large.length))
  t.equal(await send(port, agent, Buffer.alloc(0)), '0')
  t.equal(await send(port, agent, Buffer.from('abc')), '3')
})

t.test('what is left unread goes by, on the same connection', async t => {
  const sockets = new Set<unknown>()
  const port = await serve(t, async message => {
    sockets.add(message.socket)
    for await (const piece of piecesOf(message)) return `first ${piece.length > 0}`
    return 'nothing'
  })
  const agent = agentOf(t)
  for (let i = 0; i < 3; i++) t.equal(await send(port, agent, large), 'first true')
  t.equal(sockets.size, 1)
})

t.test('a client that leaves is an error, not an end', async t => {
  const ended = new Promise<string>(resolve => {
    void serve(t, async message => {
      try {
        for await (const piece of piecesOf(message)) piece.fill(0)
        resolve('ended')
      } catch (error) {
        resolve((error as Error).message)
      }
      return ''
    }).then(port => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc', () =>
          socket.destroy(),
        )
      })
    })
  })
  t.match(await ended, /^(the client left before the end of the body|aborted)$/)
})
