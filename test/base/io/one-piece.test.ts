/**
 * Answers in one piece: whatever is asked in whatever order, each gets its own bytes, in clear and
 * over TLS, though all that are encrypted share one memory.
 */
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect as connectPlain, type Socket } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { endText, endWhole } from '../../../src/base/io/one-piece.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { propertyRuns } from '../../run/budget.ts'
import { makeAuthority } from '../../x509/pki.ts'

/** `/7/100,2000`: two chunks, all of whose bytes are 7. */
const chunksOf = (url = ''): Buffer[] => {
  const [, letter, sizes = ''] = url.split('/')
  return sizes.split(',').map(size => Buffer.alloc(Number(size), Number(letter)))
}

/** Up to here the tests' server answers with a text. */
const TEXT_SIZE_BYTES = 600

interface Serving {
  readonly server: Server
  /** All answers that were given. */
  readonly answers: readonly ServerResponse[]
  /** Connections that are open, as the server sees them. */
  readonly sockets: Set<Socket>
  open(): Promise<Socket>
}

async function serve(t: Test, isSecure: boolean): Promise<Serving> {
  const sockets = new Set<Socket>()
  const answers: ServerResponse[] = []
  const authority = makeAuthority(tempFolder(t))
  const { cert, key } = authority.issue('web')
  const server = isSecure ? createSecureServer({ cert, key }) : createServer()
  server.on('request', ({ url }, response) => {
    const chunks = chunksOf(url)
    const sizeBytes = chunks.reduce((sum, { length }) => sum + length, 0)
    response.writeHead(200, ['Content-Length', String(sizeBytes)])
    const [only] = chunks
    if (chunks.length === 1 && sizeBytes <= TEXT_SIZE_BYTES) {
      endText(response, only!.toString('latin1'))
    } else endWhole(response, chunks)
    answers.push(response)
  })
  server.on(isSecure ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const open = async (): Promise<Socket> => {
    const socket = isSecure
      ? connect({
          port,
          host: '127.0.0.1',
          ca: authority.cert,
          checkServerIdentity: () => undefined,
        })
      : connectPlain(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, isSecure ? 'secureConnect' : 'connect')
    return socket
  }
  return { server, answers, sockets, open }
}

const requestOf = (url: string, method = 'GET'): string =>
  `${method} ${url} HTTP/1.1\r\nHost: x\r\n\r\n`

/** The bodies that a connection gets, each of so many bytes; what is left over is the last one. */
async function bodiesOf(socket: Socket, sizes: readonly number[]): Promise<Buffer[]> {
  let got: Buffer = Buffer.alloc(0)
  const bodies: Buffer[] = []
  for await (const data of socket) {
    got = Buffer.concat([got, data as Buffer])
    for (let end = got.indexOf(HEAD_END); end !== -1; end = got.indexOf(HEAD_END)) {
      const start = end + HEAD_END.length
      const sizeBytes = sizes[bodies.length] ?? 0
      if (got.length < start + sizeBytes) break
      bodies.push(got.subarray(start, start + sizeBytes))
      got = got.subarray(start + sizeBytes)
    }
    if (bodies.length === sizes.length) break
  }
  if (got.length > 0) bodies.push(got)
  return bodies
}

const HEAD_END = '\r\n\r\n'

const sizeOf = (url: string): number => chunksOf(url).reduce((sum, { length }) => sum + length, 0)

/** One to four requests of each of up to four connections, sent in one packet each. */
const urls = fc.array(
  fc.array(
    fc
      .tuple(
        fc.integer({ min: 32, max: 126 }),
        fc.array(fc.oneof(fc.nat(600), fc.nat(30_000), fc.nat(150_000)), {
          minLength: 1,
          maxLength: 3,
        }),
      )
      .map(([letter, sizes]) => `/${letter}/${sizes.join(',')}`),
    { minLength: 1, maxLength: 4 },
  ),
  { minLength: 1, maxLength: 4 },
)

for (const isSecure of [true, false]) {
  const how = isSecure ? 'over TLS' : 'in clear'

  t.test(`each request gets its own bytes ${how}`, async t => {
    const { open } = await serve(t, isSecure)
    await fc.assert(
      fc.asyncProperty(urls, async asked => {
        const sockets = await Promise.all(asked.map(open))
        const got = await Promise.all(
          sockets.map((socket, at) => {
            const mine = asked[at]!
            socket.write(mine.map(url => requestOf(url)).join(''))
            return bodiesOf(socket, mine.map(sizeOf))
          }),
        )
        for (const socket of sockets) socket.destroy()
        asked.forEach((mine, at) => {
          if (got[at]!.length !== mine.length) throw new Error(`${got[at]!.length} answers`)
          mine.forEach((url, which) => {
            if (!got[at]![which]!.equals(Buffer.concat(chunksOf(url)))) {
              throw new Error(`another body for ${url}`)
            }
          })
        })
      }),
      { numRuns: Math.ceil(propertyRuns() / 4) },
    )
  })

  t.test(`who reads late gets what was answered ${how}`, async t => {
    const { open, sockets } = await serve(t, isSecure)
    const late = await open()
    late.pause()
    const url = '/65/100000'
    const count = 100
    late.write(requestOf(url).repeat(count))
    await until('answers wait', () => [...sockets].some(each => each.writableLength > 0))
    const other = await open()
    other.write(requestOf('/66/100000'))
    const [second] = await bodiesOf(other, [100_000])
    t.ok(second?.equals(Buffer.alloc(100_000, 66)))
    late.resume()
    const bodies = await bodiesOf(
      late,
      Array.from({ length: count }, () => 100_000),
    )
    t.equal(bodies.length, count)
    t.ok(bodies.every(body => body.equals(Buffer.alloc(100_000, 65))))
  })

  t.test(`a text leaves with its head, which is not kept ${how}`, async t => {
    const { open, answers } = await serve(t, isSecure)
    const socket = await open()
    socket.write(requestOf('/65/500') + requestOf('/66/7'))
    const bodies = await bodiesOf(socket, [500, 7])
    t.same(bodies.map(String), ['A'.repeat(500), 'B'.repeat(7)])
    t.same(
      answers.map(answer => answer.headersSent),
      [true, true],
    )
    for (const answer of answers) t.notMatch(answer, { _header: /Content-Length/ })
  })

  t.test(`a request for the head alone gets that ${how}`, async t => {
    const { open } = await serve(t, isSecure)
    const socket = await open()
    socket.write(requestOf('/65/2000', 'HEAD') + requestOf('/66/2000'))
    const bodies = await bodiesOf(socket, [0, 2_000])
    t.same(bodies.map(String), ['', 'B'.repeat(2_000)])
  })
}

t.test('over TLS an answer is one write of one buffer', async t => {
  const { open, server } = await serve(t, true)
  const written: unknown[] = []
  server.prependListener('request', (_message, { socket }) => {
    const write = socket!.write.bind(socket) as (...given: unknown[]) => boolean
    socket!.write = (...given: unknown[]) => {
      written.push(given[0])
      return write(...given)
    }
  })
  const socket = await open()
  socket.write(requestOf('/65/20000,30'))
  await bodiesOf(socket, [20_030])
  const [whole] = written
  t.ok(Buffer.isBuffer(whole) && whole.length > 20_030, 'head and body')
  t.equal(written.length, 1)
})
