/** One handler for all requests: what reaches it, and what is answered before it. */
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createWholeServer, type WholeOptions } from '../../../src/base/io/whole-requests.ts'
import { boundsOfTests, until } from '../../http/harness.ts'
import { connectRaw, type RawConnection } from '../../http/wire.ts'

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly sizeBytes: number
  readonly body: string
}

async function serve(t: Test, more: Partial<WholeOptions> = {}) {
  const seen: Seen[] = []
  const server = createWholeServer({
    ...boundsOfTests,
    ...{ bodySizeBytes: 1_000_000, bodiesSizeBytes: 400_000, uncountedSizeBytes: 100_000 },
    admit: () => true,
    handle({ method, url }, response, body) {
      seen.push({ method, url, sizeBytes: body.length, body: body.toString('latin1', 0, 20) })
      response.writeHead(200).end('whole')
    },
    refuse: (_message, response, why) =>
      response.writeHead(400, { Connection: 'close' }).end(`refused: ${why}`),
    ...more,
  })
  t.teardown(async () => {
    server.cut()
    await server.close()
  })
  const at = await server.listen('127.0.0.1', 0)
  return { seen, open: () => connectRaw(t, at) }
}

const head = (sizeBytes: number): string =>
  `PUT /a HTTP/1.1\r\nContent-Length: ${sizeBytes}\r\n\r\n`

t.test('a body comes whole, in one piece or in many, or not at all', async t => {
  const { seen, open } = await serve(t)
  const connection = await open()
  connection.write(`${head(3)}abc`)
  await connection.received(/whole/)
  connection.write('PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n')
  connection.write('1\r\nf\r\n0\r\n\r\n')
  await connection.received(/whole[\s\S]*whole/)
  connection.write('POST /c HTTP/1.1\r\n\r\nDELETE /d HTTP/1.1\r\nContent-Length: 1\r\n\r\nx')
  connection.write('GET http://host/e?f HTTP/1.1\r\nContent-Length: 2\r\n\r\nzz')
  connection.write('PUT /g HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
  await connection.received(/(whole[\s\S]*){6}/)
  t.strictSame(
    seen.map(({ method, url, body }) => [method, url, body]),
    [
      ['PUT', '/a', 'abc'],
      ['PUT', '/b', 'def'],
      ['POST', '/c', ''],
      ['DELETE', '/d', 'x'],
      ['GET', '/e?f', ''],
      ['PUT', '/g', ''],
    ],
  )
})

t.test('a body that comes slowly is waited for', async t => {
  const { seen, open } = await serve(t)
  const connection = await open()
  connection.write(`${head(6)}ab`)
  for (const piece of ['cd', 'ef']) {
    await new Promise(resolve => setImmediate(resolve))
    connection.write(piece)
  }
  await connection.received(/whole/)
  t.equal(seen[0]?.body, 'abcdef')
})

t.test('a body that is too large is refused as soon as that is known', async t => {
  const { seen, open } = await serve(t, { bodySizeBytes: 10 })
  const said = await open()
  said.write(head(11))
  t.match(await said.closed(), 'refused: too large')
  const chunked = await open()
  chunked.write('PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n')
  t.match(await chunked.closed(), 'refused: too large')
  const just = await open()
  just.write(`${head(10)}0123456789`)
  await just.received(/whole/)
  t.equal(seen.length, 1)
})

t.test('all large bodies together have a bound, small ones are always taken', async t => {
  const sockets: Socket[] = []
  const { seen, open } = await serve(t, {
    admit({ socket }) {
      sockets.push(socket)
      return true
    },
  })
  const piece = Buffer.alloc(299_999, 'x')
  /** A body of which one byte is missing, once the server has all the others. */
  const begin = async (): Promise<RawConnection> => {
    const connection = await open()
    connection.write(head(300_000))
    connection.write(piece)
    const { length } = sockets
    await until(() => {
      const socket = sockets[length]
      return socket !== undefined && (socket.destroyed || socket.bytesRead > piece.length)
    })
    return connection
  }
  const first = await begin()
  const second = await begin()
  const third = await begin()
  t.match(await third.closed(), 'refused: too many', 'two hold all that there is')
  const small = await open()
  small.write(`${head(3)}abc`)
  await small.received(/whole/)
  first.write('y')
  await first.received(/whole/)
  second.socket.destroy()
  await until(() => sockets[1]!.destroyed)
  for (const next of [await begin(), await begin()]) {
    next.write('y')
    await next.received(/whole/)
  }
  t.equal(seen.length, 4, 'what was answered or left is given back')
})

t.test('a target that is none is refused, and who is not admitted is not read', async t => {
  const { seen, open } = await serve(t, {
    admit({ url }, response) {
      if (url === '/a') response.writeHead(403, { Connection: 'close' }).end('no')
      return url !== '/a'
    },
  })
  const odd = await open()
  odd.write('GET /b#c HTTP/1.1\r\n\r\n')
  t.match(await odd.closed(), 'refused: unreadable')
  const refused = await open()
  refused.write(`${head(3)}abc`)
  t.match(await refused.closed(), '403')
  t.equal(seen.length, 0)
})
