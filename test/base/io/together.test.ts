/**
 * Answers that leave together: each connection gets its own, with its own id, whatever is the same
 * in others and whoever has stopped reading.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { leaveTogether } from '../../../src/base/io/together.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { propertyRuns } from '../../run/budget.ts'
import { makeAuthority } from '../../x509/pki.ts'

interface Serving {
  /** Those that were not answered yet, by their URL. */
  readonly waiting: Map<string, ServerResponse>
  open(): Promise<Socket>
}

async function serve(t: Test, isSecure = false): Promise<Serving> {
  const waiting = new Map<string, ServerResponse>()
  const authority = makeAuthority(tempFolder(t))
  const server = isSecure ? createSecureServer(authority.issue('web')) : createServer()
  server.on('request', ({ url = '' }, response) => void waiting.set(url, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const open = async (): Promise<Socket> => {
    const trust = { ca: authority.cert, checkServerIdentity: () => undefined }
    const socket = isSecure
      ? connectSecurely({ port, host: '127.0.0.1', ...trust })
      : connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, isSecure ? 'secureConnect' : 'connect')
    return socket
  }
  return { waiting, open }
}

interface Answer {
  readonly id: string
  readonly status: number
  readonly lines: readonly string[]
  readonly body: string
}

const ask = (url: string): string => `GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`

function give(response: ServerResponse, { id, status, lines, body }: Answer): boolean {
  const length = ['Content-Length', String(body.length)]
  return leaveTogether(response, status, ['X-Request-Id', id, ...lines, ...length], body)
}

/** What comes on a connection until it was so much, or the end. */
async function read(socket: Socket, sizeBytes: number): Promise<string> {
  let text = ''
  while (text.length < sizeBytes && !socket.readableEnded) {
    text += (socket.read() as Buffer | null)?.toString('latin1') ?? ''
    if (text.length < sizeBytes) await once(socket, 'readable')
  }
  return text
}

/** Head and body of what came. */
async function readOne(socket: Socket): Promise<{ lines: string[]; body: string }> {
  let text = await read(socket, 1)
  while (!text.includes('\r\n\r\n')) text += await read(socket, 1)
  const size = Number(/Content-Length: (\d+)/.exec(text)?.[1])
  const end = text.indexOf('\r\n\r\n') + 4
  text += await read(socket, end + size - text.length)
  return { lines: text.slice(0, end - 4).split('\r\n'), body: text.slice(end) }
}

/** Few of each, so that many are like the one before. */
const answers: fc.Arbitrary<Answer[]> = fc.array(
  fc.record({
    id: fc.constantFrom('a-1', 'a-2', 'a-10', 'HTTP', 'b'),
    status: fc.constantFrom(200, 200, 404),
    lines: fc.constantFrom(
      [],
      [],
      ['X-A', '1'],
      ['X-A', '2'],
      ['X-B', '1'],
      ['Connection', 'close'],
    ),
    body: fc.constantFrom('', 'one', 'one', 'two', 'x'.repeat(9_000), 'y'.repeat(20_000)),
  }),
  { minLength: 1, maxLength: 12 },
)

const OURS = /^(?:X-|Content-Length|Connection: close)/

for (const isSecure of [false, true]) {
  const how = isSecure ? 'over TLS' : 'in clear'

  t.test(`each connection gets its own answer ${how}`, async t => {
    const { waiting, open } = await serve(t, isSecure)
    await fc.assert(
      fc.asyncProperty(answers, async given => {
        const sockets = await Promise.all(given.map(open))
        for (const [at, socket] of sockets.entries()) socket.write(ask(`/${at}`))
        await until('all have asked', () => waiting.size === given.length)
        for (const [at, answer] of given.entries()) {
          if (!give(waiting.get(`/${at}`)!, answer)) throw new Error('left to Node')
        }
        waiting.clear()
        const got = await Promise.all(sockets.map(readOne))
        for (const socket of sockets) socket.destroy()
        for (const [at, { lines, body }] of got.entries()) {
          const { id, status, lines: more, body: wanted } = given[at]!
          if (body !== wanted) throw new Error(`another body for ${at}`)
          t.match(lines[0], new RegExp(`^HTTP/1.1 ${status} `))
          const length = `Content-Length: ${wanted.length}`
          const own = [`X-Request-Id: ${id}`, ...(more.length > 0 ? [more.join(': ')] : []), length]
          t.same(
            lines.filter(line => OURS.test(line)),
            own,
          )
        }
      }),
      { numRuns: Math.ceil(propertyRuns() / 4) },
    )
  })

  t.test(`a connection goes on, and one that left holds nobody up ${how}`, async t => {
    const { waiting, open } = await serve(t, isSecure)
    const [one, gone, two] = await Promise.all([open(), open(), open()])
    for (let round = 0; round < 3; round++) {
      one.write(ask('/one'))
      two.write(ask('/two'))
      if (round === 0) gone.write(ask('/gone'))
      await until('all have asked', () => waiting.size === (round === 0 ? 3 : 2))
      const responses = [...waiting.entries()]
      waiting.clear()
      for (const [url, response] of responses) {
        t.ok(give(response, { id: url, status: 200, lines: [], body: `${round}` }))
        if (url === '/gone') response.socket!.destroy()
      }
      for (const socket of [one, two]) {
        const { lines, body } = await readOne(socket)
        t.equal(body, `${round}`)
        t.equal(lines[1], `X-Request-Id: ${socket === one ? '/one' : '/two'}`)
      }
    }
  })

  t.test(`what Node has to see to is left to it ${how}`, async t => {
    const { waiting, open } = await serve(t, isSecure)
    const socket = await open()
    const given: Answer = { id: 'a', status: 200, lines: [], body: 'one' }
    socket.write(ask('/0').replace('GET', 'HEAD'))
    await until('it has asked', () => waiting.size === 1)
    t.notOk(give(waiting.get('/0')!, given), 'a head alone')
    waiting.get('/0')!.writeHead(200, ['Content-Length', '0']).end()
    socket.write(ask('/1') + ask('/2'))
    await until('it has asked', () => waiting.size === 3)
    t.notOk(give(waiting.get('/2')!, given), 'behind another')
    t.ok(give(waiting.get('/1')!, given))
    t.notOk(give(waiting.get('/1')!, given), 'answered already')
  })
}

t.test('what the system has not taken yet stays as it was', async t => {
  const { waiting, open } = await serve(t)
  const sockets = await Promise.all(Array.from({ length: 6 }, open))
  for (const [at, socket] of sockets.entries()) socket.write(ask(`/${at}`))
  await until('all have asked', () => waiting.size === sockets.length)
  const responses = sockets.map((_, at) => waiting.get(`/${at}`)!)
  const later: Buffer[] = []
  for (const { socket } of [responses[0]!, responses[1]!, responses[4]!]) {
    socket!.write = (bytes: Buffer | string): boolean => {
      if (typeof bytes === 'string') return false
      later.push(bytes)
      Object.defineProperty(socket, 'writableLength', { value: bytes.length })
      return false
    }
  }
  for (const [at, response] of responses.entries()) {
    t.ok(give(response, { id: `id-${at}`, status: 200, lines: [], body: at === 5 ? 'two' : 'one' }))
  }
  const got = await Promise.all([2, 3, 5].map(at => readOne(sockets[at]!)))
  t.same(
    got.map(({ lines, body }) => [lines[1], body]),
    [
      ['X-Request-Id: id-2', 'one'],
      ['X-Request-Id: id-3', 'one'],
      ['X-Request-Id: id-5', 'two'],
    ],
  )
  t.same(
    later.map(bytes => /id-\d/.exec(bytes.toString())?.[0]),
    ['id-0', 'id-1', 'id-4'],
  )
  t.ok(later.every(bytes => bytes.toString().endsWith('\r\n\r\none')))
})
