/**
 * Whoever is answered while it still sends gets the answer, however much it sends; and cannot keep
 * the connection by it.
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { HttpListeners, type ListenerOptions } from '../../../src/base/io/http-listener.ts'
import type { LingerBounds } from '../../../src/base/io/lingering.ts'
import { TlsMaterial } from '../../../src/base/tls.ts'
import { tempFolder } from '../../clients/process.ts'
import { boundsOfTests, until } from '../../http/harness.ts'
import { connectRaw, type RawConnection } from '../../http/wire.ts'
import { propertyRuns, untilBudget } from '../../run/budget.ts'
import { makeAuthority } from '../../x509/pki.ts'

type Handle = (message: IncomingMessage, response: ServerResponse) => void

/** Refuses at once, unread, as a body that is too large by its stated length. */
const refuse: Handle = (_message, response) => {
  response.writeHead(413, { Connection: 'close', 'Content-Length': 7 }).end('refused')
}

/** Refuses what was read in part. */
const refuseLate: Handle = (message, response) => {
  message.once('data', () => {
    message.pause()
    refuse(message, response)
  })
}

const MIB = 1_048_576
const SMALL: LingerBounds = { sizeBytes: MIB, wholeMs: 60_000, silentMs: 60_000 }

function listenersOf(t: Test, handle: Handle, options: Partial<ListenerOptions> = {}) {
  const listeners = new HttpListeners({ ...boundsOfTests, ...options }, handle)
  t.teardown(async () => {
    listeners.cut()
    await listeners.close()
  })
  return listeners
}

const headOf = (sizeBytes: number): string =>
  `PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${sizeBytes}\r\n\r\n`

/** Sends all of it before it looks at what came back, as simple clients do. */
async function sendAll(raw: RawConnection, pieces: readonly Buffer[]): Promise<string> {
  raw.socket.pause()
  for (const piece of pieces) {
    if (raw.socket.destroyed) break
    if (!raw.socket.write(piece)) {
      await Promise.race([once(raw.socket, 'drain'), once(raw.socket, 'close')])
    }
  }
  raw.socket.resume()
  return await raw.closed()
}

const piecesOf = (sizeBytes: number, pieceBytes: number): Buffer[] =>
  Array.from({ length: Math.ceil(sizeBytes / pieceBytes) }, (_, at) =>
    Buffer.alloc(Math.min(pieceBytes, sizeBytes - at * pieceBytes), 'x'),
  )

t.test('who sends many MiB before it reads is answered each time', async t => {
  const verbs = { customVerbs: ['LIST'] }
  for (const [what, handle, options] of [
    ['unread', refuse, {}],
    ['read in part', refuseLate, {}],
    ['read by verbs of ours', refuseLate, verbs],
  ] as const) {
    const at = await listenersOf(t, handle, options).listen('127.0.0.1', 0)
    const pieces = [Buffer.from(headOf(8 * MIB)), ...piecesOf(8 * MIB, 65_536)]
    let lost = 0
    const sent = async (): Promise<void> => {
      const answer = await sendAll(await connectRaw(t, at), pieces)
      if (!/^HTTP\/1\.1 413[\s\S]*refused$/.test(answer)) lost++
    }
    const count = await untilBudget(`bodies that were refused (${what})`, 2_000, sent, 20)
    t.equal(lost, 0, `${what}: ${lost} of ${count} answers were lost`)
  }
})

t.test('over TLS too', async t => {
  const authority = makeAuthority(tempFolder(t))
  const { cert, key } = authority.issue('web')
  const { port } = await listenersOf(t, refuse).listen('127.0.0.1', 0, {
    material: new TlsMaterial({ cert: Buffer.from(cert), key: Buffer.from(key), ca: [] }),
    minVersion: 'TLSv1.2',
    ciphers: [],
    verifiesClients: false,
  })
  for (let i = 0; i < 10; i++) {
    const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert })
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    await once(socket, 'secureConnect')
    let answer = ''
    socket.write(headOf(8 * MIB))
    const wrote = new Promise(resolve => socket.write(Buffer.alloc(8 * MIB), resolve))
    await Promise.race([wrote, once(socket, 'close')])
    socket.on('data', data => {
      answer += String(data)
      if (answer.endsWith('refused')) socket.end()
    })
    if (!socket.closed) await once(socket, 'close')
    t.match(answer, /^HTTP\/1\.1 413[\s\S]*refused$/)
  }
})

t.test('generated: any size in any pieces, stated or in chunks, before it reads', async t => {
  const at = await listenersOf(t, refuseLate).listen('127.0.0.1', 0)
  const shape = fc.record({
    sizeBytes: fc.integer({ min: 1, max: 3 * MIB }),
    pieceBytes: fc.integer({ min: 500, max: 300_000 }),
    isChunked: fc.boolean(),
  })
  const property = fc.asyncProperty(shape, async ({ sizeBytes, pieceBytes, isChunked }) => {
    const body = piecesOf(sizeBytes, pieceBytes)
    const head = 'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    const chunks = body.flatMap(piece => [
      Buffer.from(`${piece.length.toString(16)}\r\n`),
      piece,
      Buffer.from('\r\n'),
    ])
    const pieces = isChunked
      ? [Buffer.from(head), ...chunks, Buffer.from('0\r\n\r\n')]
      : [Buffer.from(headOf(sizeBytes)), ...body]
    return (await sendAll(await connectRaw(t, at), pieces)).startsWith('HTTP/1.1 413')
  })
  await fc.assert(property, { numRuns: propertyRuns() })
})

t.test('a head that is too large is refused to who sends on', async t => {
  const at = await listenersOf(t, refuse).listen('127.0.0.1', 0)
  const pieces = [Buffer.from('PUT / HTTP/1.1\r\nX: '), ...piecesOf(4 * MIB, 65_536)]
  for (let i = 0; i < 20; i++) {
    t.match(await sendAll(await connectRaw(t, at), pieces), /^HTTP\/1\.1 431 /)
  }
})

t.test('what comes after the answer reaches nobody', async t => {
  let handled = 0
  const listeners = listenersOf(t, (message, response) => {
    handled++
    refuse(message, response)
  })
  const raw = await connectRaw(t, await listeners.listen('127.0.0.1', 0))
  raw.write(headOf(10))
  await raw.received(/refused$/)
  raw.write(`0123456789${headOf(0)}`)
  t.match(await raw.closed(), /refused$/)
  t.equal(handled, 1)
})

/** A client that does not close when the other side does, and sends a byte now and then. */
async function trickle(t: Test, at: { host: string; port: number }, head: string): Promise<number> {
  const raw = await connectRaw(t, at)
  raw.socket.allowHalfOpen = true
  raw.write(head)
  let sent = 0
  const timer = setInterval(() => raw.socket.write('x', error => error || sent++), 10)
  await raw.closed()
  clearInterval(timer)
  return sent
}

t.test('it ends after so many bytes, so long a silence, so long in all', async t => {
  const huge = headOf(1_099_511_627_776)
  const cases: Record<string, Partial<LingerBounds>> = {
    bytes: { sizeBytes: 5 },
    time: { wholeMs: 200 },
  }
  for (const [what, bound] of Object.entries(cases)) {
    const lingering = { ...SMALL, ...bound }
    const listeners = listenersOf(t, refuse, { lingering })
    const sent = await trickle(t, await listeners.listen('127.0.0.1', 0), huge)
    t.ok(sent > 0, `${what}: it was cut after ${sent} bytes`)
  }
  let isOver = false
  const tell: Handle = (message, response) => {
    message.socket.once('close', () => {
      isOver = true
    })
    refuse(message, response)
  }
  const listeners = listenersOf(t, tell, { lingering: { ...SMALL, silentMs: 200 } })
  const raw = await connectRaw(t, await listeners.listen('127.0.0.1', 0))
  raw.socket.allowHalfOpen = true
  raw.write(huge)
  await raw.received(/refused$/)
  await until(() => isOver)
  t.pass('silence')
})

t.test('a connection too many cannot stay by sending on', async t => {
  const listeners = listenersOf(t, refuse, { connectionsPerClient: 1 })
  const at = await listeners.listen('127.0.0.1', 0)
  await connectRaw(t, at)
  t.ok((await trickle(t, at, 'GET /')) > 0, 'it was cut')
})

t.test('a connection that stays open lets a rest go by, and not without end', async t => {
  const keep: Handle = (_message, response) => {
    response.writeHead(403, { 'Content-Length': 4 }).end('kept')
  }
  const listeners = listenersOf(t, keep, { lingering: SMALL, bodyWindowMs: 50 })
  const at = await listeners.listen('127.0.0.1', 0)
  const raw = await connectRaw(t, at)
  raw.write(headOf(MIB / 2))
  await raw.received(/kept$/)
  for (const piece of piecesOf(MIB / 2, 65_536)) raw.write(piece)
  raw.write(headOf(0))
  t.match(await raw.received(/kept[\s\S]*kept$/), /403/, 'the next request is answered')
  raw.write(headOf(64 * MIB))
  await raw.received(/(kept[\s\S]*){3}$/)
  const pieces = piecesOf(MIB, 65_536)
  const feed = setInterval(() => pieces.forEach(piece => void raw.socket.write(piece)), 10)
  await raw.closed()
  clearInterval(feed)
  t.pass('it was cut')
})

t.test('closing does not wait for them', async t => {
  const listeners = listenersOf(t, refuse, { lingering: SMALL })
  const raw = await connectRaw(t, await listeners.listen('127.0.0.1', 0))
  raw.socket.allowHalfOpen = true
  raw.write(headOf(MIB))
  await raw.received(/refused$/)
  await listeners.close()
  t.pass('it is closed')
})
