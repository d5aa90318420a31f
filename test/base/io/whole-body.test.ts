/** Reading bodies: when one is known to be here. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { BodyReader, isHere, UNBOUNDED } from '../../../src/base/io/whole-body.ts'
import { connectRaw } from '../../http/wire.ts'

const head = (method: string, sizeBytes: number): string =>
  `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${sizeBytes}\r\n\r\n`

t.test('what came with its head is here before node says that it is complete', async t => {
  const seen: string[] = []
  const reader = new BodyReader(UNBOUNDED)
  const server = createServer((message, response) => {
    process.nextTick(() => seen.push(`here ${isHere(message)}`))
    const refuse = (): void => void response.writeHead(413).end('refused')
    reader.read(
      {
        bodySizeBytes: 10,
        refuse,
        handle(_message, _response, body) {
          seen.push(body.toString())
          response.end('whole')
        },
      },
      message,
      response,
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const connection = await connectRaw(t, { host: '127.0.0.1', port })
  // Answered within the turn that read it, and followed by others in the same packet.
  const two = `${head('PUT', 3)}abc${head('PUT', 2)}de`
  connection.write(`${two}${head('POST', 11)}01234567890${head('PUT', 3)}f`)
  await connection.received(/whole[\s\S]*whole[\s\S]*refused/)
  connection.write('gh')
  await connection.received(/refused[\s\S]*whole/)
  connection.socket.destroy()
  t.strictSame(
    seen.filter(one => !one.startsWith('here')),
    ['abc', 'de', 'fgh'],
  )
  t.strictSame(
    seen.filter(one => one.startsWith('here')),
    ['here true', 'here true', 'here true', 'here false'],
  )
})
