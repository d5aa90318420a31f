/**
 * Class 29: connections that are opened and not used, handshakes that do not end, requests that
 * come byte by byte (CVE-2020-7219, CVE-2026-73500, CVE-2024-8185). They cost a bounded memory, are
 * cut in bounded time, and honest clients are served all the while.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { HttpListeners, type ListenerOptions } from '../../src/base/io/http-listener.ts'
import { limits } from '../../src/base/limits.ts'
import { TlsMaterial } from '../../src/base/tls.ts'
import { askPort, type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'
import { boundsOfTests } from '../http/harness.ts'
import { propertyRuns, reached } from '../run/budget.ts'
import { endingOf } from '../x509/outcome.ts'
import { makeAuthority } from '../x509/pki.ts'

const authority = makeAuthority(tempFolder(t))
const web = authority.issue('web')
const HTTPS = `ports { https = 0 }
  tls { https { cert_file = "${web.certFile}" key_file = "${web.keyFile}" } }`

function open(t: Test, port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** What a process may open; node has raised its own bound to the hard one. */
const descriptors = (): number =>
  Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1])

const residentBytes = (pid: number): number =>
  1_024 * Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])

/** The first bytes of a client of TLS. */
const HELLO_BEGIN = Buffer.from('\x16\x03\x01\x02\x00\x01\x00', 'latin1')

/** Opens so many connections, 200 from each address, and keeps them. */
async function flood(
  t: Test,
  port: number,
  count: number,
  first: Buffer,
  network = 1,
): Promise<Socket[]> {
  const PER_ADDRESS = 200
  const AT_A_TIME = 64
  const sockets: Socket[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const at = Math.floor(next++ / PER_ADDRESS)
      const socket = await open(t, port, `127.${network}.${at >> 7}.${(at & 127) + 1}`)
      socket.write(first)
      socket.resume()
      sockets.push(socket)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  return sockets
}

/** An honest client over both listeners, on connections of its own. */
async function askBoth(t: Test, { httpPort, httpsPort }: Daemon, what: string): Promise<void> {
  const tls: ConnectionOptions = { ca: authority.cert }
  for (const [port, options] of [
    [httpPort, undefined],
    [httpsPort, tls],
  ] as const) {
    t.equal((await askPort(port, 'PUT', '/v1/kv/honest', 'x', options)).text, 'true', what)
    t.equal((await askPort(port, 'GET', '/v1/kv/honest?raw', '', options)).text, 'x', what)
  }
}

t.test('ten thousand half-open connections on each listener', async t => {
  const SPARE = 2_000
  // A little less than the bound: honest handshakes count as well.
  const ROOM = 100
  const count = Math.min(limits.httpsHandshakes - ROOM, descriptors() - SPARE)
  const words = [
    `-hcl=${HTTPS}`,
    '-hcl=limits { https_handshake_timeout = "5m" } http_config { read_header_timeout = "5m" }',
  ]
  const attacks = [
    ['HTTP, half a head', 'httpPort', Buffer.from('PUT /v1/kv/a HTTP/1.1\r\nX: ')],
    ['TLS, half a hello', 'httpsPort', HELLO_BEGIN],
  ] as const
  for (const [what, name, first] of attacks) {
    const daemon = await startDaemon(t, { engine: 'memory', words })
    await askBoth(t, daemon, `${what}: before`)
    const beforeBytes = residentBytes(daemon.pid)
    const sockets = await flood(t, daemon[name], count, first)
    await askBoth(t, daemon, `${what}: under ${count}`)
    t.ok(
      sockets.every(socket => !socket.destroyed),
      `${what}: all are there`,
    )
    const eachBytes = (residentBytes(daemon.pid) - beforeBytes) / count
    const EACH_MAX_BYTES = 98_304
    t.ok(eachBytes < EACH_MAX_BYTES, `${what}: ${Math.round(eachBytes)} bytes for each`)
    if (name === 'httpsPort' && count === limits.httpsHandshakes - ROOM) {
      const more = await flood(t, daemon.httpsPort, 2 * ROOM, first, 2)
      const cut = (): number => sockets.filter(socket => socket.destroyed).length
      await until('the oldest make room', () => cut() >= ROOM)
      t.ok(
        more.every(socket => !socket.destroyed),
        'not the newest',
      )
      t.ok(cut() < 2 * ROOM, `${cut()} of the oldest, and no more`)
    }
    t.equal(await daemon.stop(), 0, `${what}: it ends although they hang`)
    for (const socket of sockets) socket.destroy()
    reached('half-open connections', count)
  }
})

t.test('two thousand connections that say nothing are cut', async t => {
  const words = [
    `-hcl=${HTTPS}`,
    '-hcl=http_config { read_header_timeout = "2s" } limits { https_handshake_timeout = "2s" }',
  ]
  const daemon = await startDaemon(t, { engine: 'memory', words })
  const senders = Array.from({ length: 10 }, (_, at) => `127.0.1.${at + 1}`)
  for (const [port, first] of [
    [daemon.httpPort, Buffer.from('PUT /v1/kv/a HTTP/1.1\r\nX: ')],
    [daemon.httpsPort, HELLO_BEGIN],
  ] as const) {
    const sockets: Socket[] = []
    for (const sender of senders) {
      for (let i = 0; i < 200; i++) sockets.push(await open(t, port, sender))
    }
    for (const socket of sockets) socket.resume()
    for (const socket of sockets.slice(0, 1_000)) socket.write(first)
    const refused = await open(t, port, senders[0])
    let answer = ''
    refused.on('data', data => {
      answer += String(data)
    })
    await until('one more of the same address is refused', () => refused.destroyed)
    t.equal(answer.slice(0, 12), port === daemon.httpPort ? 'HTTP/1.1 429' : '')
    await askBoth(t, daemon, 'another address is served')
    await until('they are cut', () => sockets.every(socket => socket.destroyed))
    const again = await open(t, port, senders[0])
    t.notOk(again.destroyed, 'and the address may come again')
  }
  t.equal(await daemon.stop(), 0)
})

/** Listeners of both kinds in this process. */
async function listening(t: Test, options: Partial<ListenerOptions>) {
  const listeners = new HttpListeners({ ...boundsOfTests, ...options }, (message, response) => {
    let sizeBytes = 0
    message.on('error', () => {})
    if (message.url === '/wait') {
      message.resume()
      return void message.once('end', () => setTimeout(() => response.end('waited'), 900))
    }
    if (message.url === '/later') {
      return void setTimeout(
        () => message.on('data', () => {}).on('end', () => response.end('late')),
        900,
      )
    }
    message.on('data', (data: Buffer) => {
      sizeBytes += data.length
    })
    message.on('end', () => response.end(`got ${sizeBytes}`))
  })
  t.teardown(async () => {
    listeners.cut()
    await listeners.close()
  })
  const material = new TlsMaterial({
    cert: Buffer.from(web.cert),
    key: Buffer.from(web.key),
    ca: [],
  })
  const secure = { material, minVersion: 'TLSv1.2', ciphers: [], verifiesClients: false } as const
  const inClear = await listeners.listen('127.0.0.1', 0)
  const overTls = await listeners.listen('127.0.0.1', 0, secure)
  const openOver = {
    HTTP: async (): Promise<Socket> => open(t, inClear.port),
    HTTPS: async (): Promise<Socket> => {
      const socket = connectTls({ ...overTls, ca: authority.cert })
      t.teardown(() => socket.destroy())
      socket.on('error', () => {})
      await once(socket, 'secureConnect')
      return socket
    },
  }
  return { openOver, overTls }
}

/** Sends `pieces`, one every so often; gives what came until the other side closed. */
function drip(socket: Socket, pieces: Iterable<string>, everyMs: number): Promise<string> {
  const left = pieces[Symbol.iterator]()
  return new Promise(resolve => {
    let text = ''
    const timer = setInterval(() => {
      const { done, value } = left.next()
      if (done === true) clearInterval(timer)
      else socket.write(value)
    }, everyMs)
    socket.on('data', data => {
      text += String(data)
    })
    socket.once('close', () => {
      clearInterval(timer)
      resolve(text)
    })
  })
}

function* forever(piece: string): Generator<string> {
  for (;;) yield piece
}

const CLOSE = 'Host: x\r\nConnection: close\r\n'

t.test('heads and bodies that come byte by byte are cut', async t => {
  const { openOver } = await listening(t, { headerTimeoutMs: 500, bodyWindowMs: 400 })
  for (const [kind, openOne] of Object.entries(openOver)) {
    const head = await openOne()
    head.write('GET / HTTP/1.1\r\nX: ')
    t.match(await drip(head, forever('a'), 20), /^HTTP\/1\.1 408 /, `${kind}: a head`)
    const lines = await openOne()
    lines.write('GET / HTTP/1.1\r\n')
    t.match(await drip(lines, forever('a: b\r\n'), 20), /^HTTP\/1\.1 (408|431) /, `${kind}: lines`)
    const body = await openOne()
    body.write(`PUT / HTTP/1.1\r\n${CLOSE}Content-Length: 100000\r\n\r\n`)
    t.match(await drip(body, forever('a'), 20), /^HTTP\/1\.1 408 /, `${kind}: a body`)
    const chunks = await openOne()
    chunks.write(`PUT / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\n\r\n`)
    t.match(await drip(chunks, forever('1\r\na\r\n'), 20), /^HTTP\/1\.1 408 /, `${kind}: chunks`)
    const silent = await openOne()
    silent.write(`PUT / HTTP/1.1\r\n${CLOSE}Content-Length: 10\r\n\r\n`)
    t.match(await drip(silent, [], 20), /^HTTP\/1\.1 408 /, `${kind}: a body that does not come`)
  }
})

t.test('near miss: slow and honest; waiting; read slowly by us', async t => {
  const { openOver } = await listening(t, { headerTimeoutMs: 30_000, bodyWindowMs: 400 })
  for (const [kind, openOne] of Object.entries(openOver)) {
    const steady = await openOne()
    const head = ['GET / HT', 'TP/1.1\r\nHo', 'st: x\r\n', 'Connection: close\r\n', '\r\n']
    t.match(await drip(steady, head, 50), /got 0$/, `${kind}: a head in pieces`)
    const body = await openOne()
    body.write(`PUT / HTTP/1.1\r\n${CLOSE}Content-Length: 25000\r\n\r\n`)
    const pieces = Array.from({ length: 25 }, () => 'x'.repeat(1_000))
    t.match(await drip(body, pieces, 60), /got 25000$/, `${kind}: a body in pieces`)
    const waiting = await openOne()
    waiting.write(`PUT /wait HTTP/1.1\r\n${CLOSE}Content-Length: 3\r\n\r\nabc`)
    t.match(await drip(waiting, [], 50), /waited$/, `${kind}: an answer that takes its time`)
    const late = await openOne()
    late.write(
      `PUT /later HTTP/1.1\r\n${CLOSE}Content-Length: 200000\r\n\r\n${'x'.repeat(100_000)}`,
    )
    const rest = Array.from({ length: 20 }, () => 'x'.repeat(5_000))
    t.match(await drip(late, rest, 10), /late$/, `${kind}: who is not read is not slow`)
  }
})

t.test('floods of headers, by number and by size; near misses', async t => {
  const lingering = { sizeBytes: 1_000_000, wholeMs: 10_000, silentMs: 500 }
  const { openOver } = await listening(t, { lingering })
  const lines = (count: number): string =>
    Array.from({ length: count }, (_, at) => `a${at}: 1\r\n`).join('')
  const OWN = 2
  const sizes: [string, string, number][] = [
    ['as many as are taken', lines(limits.httpHeaders - OWN), 200],
    ['one more', lines(limits.httpHeaders - OWN + 1), 431],
    ['very many', lines(6_000), 431],
    ['the same one very often', 'a: 1\r\n'.repeat(6_000), 431],
    ['as large as is taken', `a: ${'x'.repeat(limits.httpHeaderSizeBytes - 200)}\r\n`, 200],
    ['larger', `a: ${'x'.repeat(limits.httpHeaderSizeBytes)}\r\n`, 431],
    ['a long name', `${'x'.repeat(limits.httpHeaderSizeBytes)}: 1\r\n`, 431],
  ]
  for (const [kind, openOne] of Object.entries(openOver)) {
    for (const [what, text, status] of sizes) {
      const socket = await openOne()
      socket.write(`GET / HTTP/1.1\r\n${CLOSE}${text}\r\n`)
      const answer = await drip(socket, [], 1_000)
      t.equal(answer.slice(9, 12), `${status}`, `${kind}: ${what}`)
    }
    const long = await openOne()
    long.write(`GET /${'x'.repeat(2 * limits.httpHeaderSizeBytes)} HTTP/1.1\r\n\r\n`)
    t.match(await drip(long, [], 1_000), /^HTTP\/1\.1 431 /, `${kind}: a long path`)
  }
})

/** What a real client sends first, whole. */
async function helloOf(): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const accepted = once(server, 'connection')
  const client = connectTls({ host: '127.0.0.1', port, ALPNProtocols: ['http/1.1'] })
  client.on('error', () => {})
  const [socket] = (await accepted) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

t.test('generated: first bytes of clients, cut and damaged, by the dozen', async t => {
  const { overTls } = await listening(t, { handshakeTimeoutMs: 300 })
  const hello = await helloOf()
  const damaged = fc.record({
    cut: fc.integer({ min: 0, max: hello.length }),
    flips: fc.array(fc.tuple(fc.nat(hello.length - 1), fc.integer({ min: 1, max: 255 })), {
      maxLength: 4,
    }),
    tail: fc.uint8Array({ maxLength: 64 }),
  })
  const property = fc.asyncProperty(
    fc.array(damaged, { minLength: 24, maxLength: 24 }),
    async all => {
      const ends = all.map(({ cut, flips, tail }) => {
        const bytes = Buffer.from(hello)
        for (const [at, mask] of flips) bytes[at] = (bytes[at] ?? 0) ^ mask
        const socket = connect(overTls)
        socket.on('error', () => {}).resume()
        socket.write(Buffer.concat([bytes.subarray(0, cut), tail]))
        return new Promise(resolve => socket.once('close', resolve))
      })
      const honest = await endingOf({ ...overTls, ca: authority.cert })
      await Promise.all(ends)
      return honest === 'served'
    },
  )
  await fc.assert(property, { numRuns: Math.ceil(propertyRuns() / 10) })
})
