/**
 * Verbs that HTTP's parser does not know: read at the beginning of a message and nowhere else,
 * however the bytes are cut, with every bound of the listener holding as it does without them.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { takingVerbs } from '../../../src/base/io/custom-verbs.ts'
import { HttpListeners, type ListenerOptions } from '../../../src/base/io/http-listener.ts'
import { TlsMaterial } from '../../../src/base/tls.ts'
import { tempFolder } from '../../clients/process.ts'
import { boundsOfTests, until } from '../../http/harness.ts'
import { connectRaw } from '../../http/wire.ts'
import { propertyRuns } from '../../run/budget.ts'
import { makeAuthority } from '../../x509/pki.ts'

type Handle = (message: IncomingMessage, response: ServerResponse) => void

/** What a handler saw: verb, target and body. */
type Seen = [verb: string | undefined, url: string | undefined, body: string]

const VERBS = ['LIST', 'SCAN']

/** Says what it saw when it has all of it, on one line. */
const say: Handle = (message, response) => {
  let body = ''
  message.setEncoding('latin1')
  message.on('data', text => {
    body += text
  })
  message.on('end', () => {
    const seen: Seen = [message.method, message.url, body]
    response.end(`\n${JSON.stringify(seen)}\n`)
  })
}

function listenersOf(
  t: Test,
  options: Partial<ListenerOptions> = {},
  handle: Handle = say,
): HttpListeners {
  const listeners = new HttpListeners({ ...boundsOfTests, customVerbs: VERBS, ...options }, handle)
  t.teardown(async () => {
    listeners.cut()
    await listeners.close()
  })
  return listeners
}

const seenIn = (text: string): Seen[] =>
  text
    .split('\n')
    .filter(line => line.startsWith('["'))
    .map(line => JSON.parse(line) as Seen)

const request = (verb: string, url: string, body = ''): string =>
  `${verb} ${url} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** Sends pieces one after the other, each in a packet of its own, and gives what handlers saw. */
async function send(t: Test, pieces: readonly string[]): Promise<Seen[]> {
  const at = await listenersOf(t).listen('127.0.0.1', 0)
  const connection = await connectRaw(t, at)
  connection.socket.setNoDelay()
  for (const piece of pieces) {
    connection.write(piece)
    await new Promise(setImmediate)
    await new Promise(setImmediate)
  }
  connection.socket.end()
  return seenIn(await connection.closed())
}

t.test('a handler sees them under their own names', async t => {
  for (const verb of [...VERBS, 'GET', 'PUT', 'LINK', 'LOCK', 'SEARCH', 'SUBSCRIBE']) {
    t.strictSame(await send(t, [request(verb, '/v1/a', 'x=1')]), [[verb, '/v1/a', 'x=1']])
  }
  t.strictSame(await send(t, ['\r\n\n', '\r\nLIST /a HTTP/1.1\r\n\r\n']), [['LIST', '/a', '']])
})

t.test('nothing that is almost one of them is one', async t => {
  for (const verb of ['LISTS', 'LIS', 'LI', 'L', 'LISK', 'LINT', 'list', 'List', 'SCA', 'SEAN']) {
    const at = await listenersOf(t).listen('127.0.0.1', 0)
    const connection = await connectRaw(t, at)
    connection.write(request(verb, '/'))
    t.match(await connection.closed(), /^HTTP\/1\.1 400 Bad Request/, verb)
  }
  const off = await listenersOf(t, { customVerbs: [] }).listen('127.0.0.1', 0)
  const connection = await connectRaw(t, off)
  connection.write(request('LIST', '/'))
  t.match(await connection.closed(), /^HTTP\/1\.1 400/, 'and none where they are not switched on')
})

t.test('a verb may come in pieces', async t => {
  for (const verb of [...VERBS, 'LINK', 'SEARCH']) {
    const text = request(verb, '/a')
    for (let cut = 1; cut <= verb.length + 1; cut++) {
      const pieces = [text.slice(0, cut), text.slice(cut)]
      t.strictSame(await send(t, pieces), [[verb, '/a', '']], `${verb} cut at ${cut}`)
    }
    t.strictSame(await send(t, [...text]), [[verb, '/a', '']], 'letter by letter')
  }
})

t.test('a body, a header and a target that look like a verb are left alone', async t => {
  const pieces = ['PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n', 'LIST ', 'SCAN ']
  t.strictSame(await send(t, pieces), [['PUT', '/a', 'LIST SCAN ']])
  const chunked = 'PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n'
  const seen = await send(t, [chunked, 'LIST ', '\r\n0\r\n\r\n', 'LIST /b HTTP/1.1\r\n\r\n'])
  t.strictSame(seen, [
    ['PUT', '/a', 'LIST '],
    ['LIST', '/b', ''],
  ])
  t.strictSame(await send(t, ['GET /a?', 'LIST HTTP/1.1\r\n\r\n']), [['GET', '/a?LIST', '']])
  const at = await listenersOf(t, {}, ({ headers }, response) => {
    response.end(`<${headers.x}>`)
  }).listen('127.0.0.1', 0)
  const connection = await connectRaw(t, at)
  connection.write('LIST /a HTTP/1.1\r\nX: ')
  await new Promise(setImmediate)
  connection.write('LIST /b\r\n\r\n')
  t.match(await connection.received(/>/), '<LIST /b>')
})

t.test('in a pipeline they are taken, or the connection ends; never taken for another', async t => {
  const whole = await send(t, [request('LIST', '/1'), request('SCAN', '/2'), request('LIST', '/3')])
  t.strictSame(whole.at(0), ['LIST', '/1', ''])
  const first = request('GET', '/1')
  const at = await listenersOf(t).listen('127.0.0.1', 0)
  const together = await connectRaw(t, at)
  together.write(first + request('LIST', '/2'))
  const answer = await together.closed()
  t.match(answer, /HTTP\/1\.1 400 Bad Request\r\nConnection: close/)
  t.notMatch(answer, '/2')
  t.strictSame(
    await send(t, [`${first}GET /2?`, 'LIST HTTP/1.1\r\n\r\n']),
    [
      ['GET', '/1', ''],
      ['GET', '/2?LIST', ''],
    ],
    'the second had begun in the packet before',
  )
  t.strictSame(await send(t, [request('LIST', '/1') + request('LINK', '/2')]), [
    ['LIST', '/1', ''],
    ['LINK', '/2', ''],
  ])
})

t.test(
  'an upgrade, an expectation and an early answer leave the next message readable',
  async t => {
    const next = request('LIST', '/next')
    const upgrade = 'GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
    t.strictSame((await send(t, [upgrade, next])).at(-1), ['LIST', '/next', ''])
    const at = await listenersOf(t).listen('127.0.0.1', 0)
    const expecting = await connectRaw(t, at)
    expecting.write('PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
    await expecting.received(/100 Continue/)
    expecting.write('LIST ')
    await expecting.received(/"LIST "\]/)
    expecting.write(next)
    t.strictSame(seenIn(await expecting.received(/next/)).at(-1), ['LIST', '/next', ''])
    const nonsense = await connectRaw(t, at)
    nonsense.write('PUT /a HTTP/1.1\r\nExpect: nonsense\r\n\r\n')
    await nonsense.received(/417/)
    nonsense.write(next)
    t.strictSame(seenIn(await nonsense.received(/next/)), [['LIST', '/next', '']])
    const early = listenersOf(t, {}, ({ method, url }, response) => {
      response.end(`<${method} ${url}>`)
    })
    const unread = await connectRaw(t, await early.listen('127.0.0.1', 0))
    unread.write('PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nLIST ')
    await unread.received(/<PUT \/a>/)
    unread.write('LIST ')
    await new Promise(setImmediate)
    unread.write(next)
    t.match(await unread.received(/next/), '<LIST /next>')
    const tunnel = await connectRaw(t, at)
    tunnel.write('CONNECT a:1 HTTP/1.1\r\n\r\n')
    tunnel.write(next)
    t.equal(await tunnel.closed(), '', 'a tunnel is not made')
  },
)

t.test('they come over TLS as well', async t => {
  const authority = makeAuthority(tempFolder(t))
  const { cert, key } = authority.issue('web')
  const material = new TlsMaterial({ cert: Buffer.from(cert), key: Buffer.from(key), ca: [] })
  const secure = { material, minVersion: 'TLSv1.2', ciphers: [], verifiesClients: false } as const
  const at = await listenersOf(t).listen('127.0.0.1', 0, secure)
  const socket = connect({ ...at, ca: authority.cert })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  let text = ''
  socket.on('data', data => {
    text += String(data)
  })
  const pieces = [
    'LI',
    'ST /1 HTTP/1.1\r\n\r\n',
    request('SCAN', '/2'),
    request('PUT', '/3', 'LIST '),
  ]
  for (const [at, piece] of pieces.entries()) {
    socket.write(piece)
    if (at > 0) await until(() => seenIn(text).length === at)
  }
  t.strictSame(seenIn(text), [
    ['LIST', '/1', ''],
    ['SCAN', '/2', ''],
    ['PUT', '/3', 'LIST '],
  ])
})

t.test('the bounds hold: slow heads, slow bodies, large heads, many connections', async t => {
  const bounds = { headerTimeoutMs: 300, requestTimeoutMs: 500, connectionsPerClient: 6 }
  const listeners = listenersOf(t, bounds)
  const at = await listeners.listen('127.0.0.1', 0)
  const slow = await Promise.all(
    ['', 'L', 'LIS', 'LIST', 'LIST /', 'LIST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc'].map(
      async start => {
        const connection = await connectRaw(t, at)
        if (start !== '') connection.write(start)
        return { start, connection }
      },
    ),
  )
  t.match(await (await connectRaw(t, at)).closed(), /^HTTP\/1\.1 429/)
  for (const { start, connection } of slow) {
    t.match(await connection.closed(), /^(HTTP\/1\.1 408|$)/, start)
  }
  const kept = await connectRaw(t, at)
  kept.write(request('LIST', '/1'))
  await kept.received(/\/1/)
  kept.write('LIS')
  t.match(await kept.closed(), /HTTP\/1\.1 408/, 'half a verb on a connection that was used')
  const large = await connectRaw(t, at)
  large.write(`LIST / HTTP/1.1\r\nX: ${'x'.repeat(boundsOfTests.maxHeaderSizeBytes)}\r\n\r\n`)
  t.match(await large.closed(), /^HTTP\/1\.1 431/)
  const half = await connectRaw(t, at)
  half.socket.end('LIS')
  t.match(await half.closed(), /^HTTP\/1\.1 400/)
})

t.test('a body that nobody reads is held back, and goes on when somebody does', async t => {
  let waiting: IncomingMessage | undefined
  const listeners = listenersOf(t, {}, (message, response) => {
    waiting = message
    message.once('end', () => response.end('done'))
  })
  const connection = await connectRaw(t, await listeners.listen('127.0.0.1', 0))
  const body = Buffer.alloc(16_777_216, 'LIST ')
  connection.write(`PUT / HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n`)
  connection.write(body)
  await until(() => waiting !== undefined && waiting.readableLength > 0)
  t.ok((waiting?.socket.bytesRead ?? 0) < body.length, 'it is not all taken')
  let size = 0
  waiting?.on('data', (piece: Buffer) => {
    size += piece.length
  })
  await connection.received(/done/)
  t.equal(size, body.length)
  connection.write('LIST / HTTP/1.1\r\n\r\n')
  await until(() => waiting?.method === 'LIST')
  waiting?.resume()
  await connection.received(/done[\s\S]*done/)
})

t.test('any stream of requests is read as it was sent, wherever it is cut', async t => {
  const listeners = listenersOf(t)
  const at = await listeners.listen('127.0.0.1', 0)
  const verb = fc.constantFrom('LIST', 'SCAN', 'GET', 'PUT', 'LINK', 'SEARCH', 'LOCK', 'DELETE')
  const words = fc.array(
    fc.constantFrom('LIST ', 'SCAN ', 'L', 'LI', '\r\n', 'LIST /x HTTP/1.1\r\n'),
  )
  const sent = fc.record({
    verb,
    url: fc.constantFrom('/', '/LIST', '/a?LIST', '/SCAN/LIST'),
    body: words.map(each => each.join('')),
    lines: fc.constantFrom('', '\r\n', '\n'),
    isChunked: fc.boolean(),
    cuts: fc.array(fc.nat(), { maxLength: 6 }),
  })
  const property = fc.asyncProperty(fc.array(sent, { minLength: 1, maxLength: 6 }), async all => {
    const connection = await connectRaw(t, at)
    connection.socket.setNoDelay()
    for (const [index, each] of all.entries()) {
      for (const piece of cut(each.lines + textOf(each), each.cuts)) {
        connection.write(piece)
        await new Promise(setImmediate)
      }
      // One at a time, as clients do; what follows at once is another test.
      const answers = new RegExp(`(\n\\["[^\n]*\n[^]*){${index + 1}}`)
      await connection.received(answers)
    }
    const seen = seenIn(await connection.received(/\n$/))
    connection.socket.destroy()
    assert.deepEqual(
      seen,
      all.map(({ verb, url, body }) => [verb, url, body]),
    )
  })
  await fc.assert(property, { numRuns: propertyRuns() })
  t.pass('it is')
})

t.test(
  'a stream that does not wait is read as it was sent, or refused from somewhere on',
  async t => {
    const listeners = listenersOf(t)
    const at = await listeners.listen('127.0.0.1', 0)
    const verb = fc.constantFrom('LIST', 'SCAN', 'GET', 'PUT', 'LINK')
    const sent = fc.record({
      verb,
      url: fc.constantFrom('/', '/LIST'),
      body: fc.constantFrom('', 'LIST '),
    })
    const streams = fc.record({
      all: fc.array(sent, { minLength: 2, maxLength: 5 }),
      cuts: fc.array(fc.nat(), { maxLength: 6 }),
    })
    let refused = 0
    const property = fc.asyncProperty(streams, async ({ all, cuts }) => {
      const connection = await connectRaw(t, at)
      connection.socket.setNoDelay()
      const stream = all.map(({ verb, url, body }) => request(verb, url, body)).join('')
      for (const piece of cut(stream, cuts)) {
        connection.write(piece)
        await new Promise(setImmediate)
      }
      connection.socket.end()
      const text = await connection.closed()
      const seen = seenIn(text)
      const wanted = all.map(({ verb, url, body }) => [verb, url, body])
      assert.deepEqual(seen, wanted.slice(0, seen.length))
      if (seen.length === wanted.length) return
      refused++
      // Only a verb of ours that came in the packet of another is refused.
      assert.ok(all.slice(1).some(({ verb }) => VERBS.includes(verb)))
    })
    await fc.assert(property, { numRuns: propertyRuns() })
    t.ok(refused > 0, 'both happen')
  },
)

function textOf(sent: { verb: string; url: string; body: string; isChunked: boolean }): string {
  const { verb, url, body } = sent
  if (!sent.isChunked || body === '') return request(verb, url, body)
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n`
  return `${verb} ${url} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`
}

function cut(text: string, cuts: readonly number[]): string[] {
  const at = [0, ...cuts.map(each => each % (text.length + 1)), text.length].sort((a, b) => a - b)
  return at.map((start, index) => text.slice(start, at[index + 1] ?? start)).filter(Boolean)
}

t.test('what cannot be told apart is refused when the server is made', t => {
  t.throws(() => takingVerbs(['LIST', 'LOOK']), /same letter/)
  t.throws(() => takingVerbs(['LOCK']), /no verb can stand in/)
  t.throws(() => takingVerbs(['XLIST']), /no verb can stand in/)
  const server = createServer()
  const take = takingVerbs(VERBS)
  server.on('connection', (socket: Socket) => {
    socket.on('data', () => {})
    t.throws(() => take(socket), /in another way/)
    socket.destroy()
  })
  server.listen(0, '127.0.0.1', async () => {
    const { port } = server.address() as { port: number }
    await (await connectRaw(t, { host: '127.0.0.1', port })).closed()
    server.close(() => t.end())
  })
})
