/**
 * Answers that are given again over TLS: each has its own id and the date of now, and is otherwise
 * what Node itself would have sent, in whatever order and on however many connections it is asked.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Agent, createServer as createSecureServer, request } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { answerAgain, type Kept } from '../../../src/base/io/answer-again.ts'
import { endWhole } from '../../../src/base/io/one-piece.ts'
import { limits } from '../../../src/base/limits.ts'
import { tempFolder } from '../../clients/process.ts'
import { propertyRuns } from '../../run/budget.ts'
import { makeAuthority } from '../../x509/pki.ts'

const keep = (...chunks: Buffer[]): Kept => ({
  chunks,
  sizeBytes: chunks.reduce((sum, { length }) => sum + length, 0),
  again: undefined,
})

interface Asked {
  /** Which of the kept answers. */
  readonly which: number
  readonly id: string
  readonly status: number
  readonly word: string
  readonly method: 'GET' | 'HEAD'
  readonly closes: boolean
}

type Answer = (asked: Asked, response: ServerResponse) => void

interface Serving {
  readonly server: Server
  ask(asked: Asked): Promise<{ readonly head: IncomingMessage; readonly body: Buffer }>
  open(): Promise<Socket>
}

async function serve(t: Test, answer: Answer): Promise<Serving> {
  const authority = makeAuthority(tempFolder(t))
  const { cert, key } = authority.issue('web')
  const server = createSecureServer({ cert, key }, ({ url = '' }, response) =>
    answer(JSON.parse(decodeURIComponent(url.slice(1))), response),
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const agent = new Agent({ keepAlive: true, maxSockets: 3 })
  t.teardown(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const trust = { ca: authority.cert, checkServerIdentity: () => undefined }
  return {
    server,
    async ask(asked) {
      const path = `/${encodeURIComponent(JSON.stringify(asked))}`
      const headers = asked.closes ? { Connection: 'close' } : {}
      const asking = request({ port, path, method: asked.method, agent, headers, ...trust })
      asking.end()
      const [head] = (await once(asking, 'response')) as [IncomingMessage]
      const pieces: Buffer[] = []
      for await (const piece of head) pieces.push(piece as Buffer)
      return { head, body: Buffer.concat(pieces) }
    },
    async open() {
      const socket = connect({ port, host: '127.0.0.1', ...trust })
      t.teardown(() => socket.destroy())
      await once(socket, 'secureConnect')
      return socket
    },
  }
}

const linesOf = ({ id, word }: Asked, { sizeBytes }: Kept): string[] => [
  ...['X-Request-Id', id, 'X-Word', word],
  ...['Content-Length', String(sizeBytes)],
]

const counting = () => {
  const counts = { again: 0, anew: 0 }
  const answer =
    (kept: readonly Kept[]): Answer =>
    (asked, response) => {
      const mine = kept[asked.which]!
      const lines = linesOf(asked, mine)
      if (answerAgain(response, asked.status, lines, mine)) counts.again++
      else {
        counts.anew++
        response.writeHead(asked.status, lines)
        endWhole(response, mine.chunks)
      }
    }
  return { counts, answer }
}

const sizes = [[0], [5], [300, 0, 700], [26_000], [limits.answerPieceSizeBytes + 1]]

/** The answer as such, which no other one may change. */
const bodyOf = (which: number): Buffer =>
  Buffer.concat(sizes[which]!.map((size, at) => Buffer.alloc(size, 64 + which * 8 + at)))

const keepAll = (): Kept[] =>
  sizes.map((each, which) =>
    keep(...each.map((size, at) => Buffer.alloc(size, 64 + which * 8 + at))),
  )

const plain: Asked = {
  ...{ which: 1, id: 'id-1', status: 200, word: 'a' },
  ...{ method: 'GET' as const, closes: false },
}

const asks = fc.array(
  fc.record({
    which: fc.nat(sizes.length - 1),
    id: fc.constantFrom('a-1', 'b-2', 'a-10'),
    status: fc.constantFrom(200, 404),
    word: fc.constantFrom('one', 'two', 'three'),
    method: fc.oneof(
      { weight: 5, arbitrary: fc.constant('GET' as const) },
      fc.constant('HEAD' as const),
    ),
    closes: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
  }),
  { minLength: 1, maxLength: 24 },
)

t.test('each is answered as Node would, with its own id, in any order', async t => {
  const { counts, answer } = counting()
  let kept = keepAll()
  const { ask } = await serve(t, (asked, response) => answer(kept)(asked, response))
  await fc.assert(
    fc.asyncProperty(asks, async asked => {
      kept = keepAll()
      const got = await Promise.all(asked.map(ask))
      got.forEach(({ head, body }, at) => {
        const { which, id, status, word, method, closes } = asked[at]!
        const expected = bodyOf(which)
        const said = [head.statusCode, head.headers['x-request-id'], head.headers['x-word']]
        const isRight =
          said.join() === [status, id, word].join() &&
          head.headers['content-length'] === String(expected.length) &&
          head.headers.connection === (closes ? 'close' : 'keep-alive') &&
          Math.abs(Date.now() - Date.parse(head.headers.date ?? '')) < 60_000 &&
          body.equals(method === 'HEAD' ? Buffer.alloc(0) : expected)
        if (!isRight) throw new Error(`${said.join()} with ${body.length} bytes`)
      })
    }),
    { numRuns: Math.ceil(propertyRuns() / 2) },
  )
  t.ok(counts.again > 0 && counts.anew > 0, 'both ways were taken')
})

t.test('the date is that of now, and the memory is the same', async t => {
  const kept = [keep(), keep(Buffer.from('whatever'))]
  const { counts, answer } = counting()
  const { ask } = await serve(t, answer(kept))
  const atMs = Date.now()
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => atMs
  for (const id of ['x-1', 'x-2', 'x-3']) await ask({ ...plain, id })
  t.match(counts, { again: 2, anew: 1 }, 'the first one is only noted')
  const { whole } = kept[1]!.again!
  for (const laterMs of [1_000, 86_400_000, 86_400_100]) {
    Date.now = () => atMs + laterMs
    const { head, body } = await ask({ ...plain, id: 'y-4' })
    const second = Math.floor((atMs + laterMs) / 1_000) * 1_000
    t.equal(head.headers.date, new Date(second).toUTCString())
    t.equal(head.headers['x-request-id'], 'y-4')
    t.equal(body.toString(), 'whatever')
  }
  t.equal(kept[1]!.again!.whole, whole, 'it is the same memory')
  t.match(counts, { again: 5, anew: 1 })
})

t.test('what is asked for once in a while is not kept', async t => {
  const kept = [keep(), keep(Buffer.from('whatever'))]
  const { counts, answer } = counting()
  const { ask } = await serve(t, answer(kept))
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  for (const second of [1, 2, 3, 4]) {
    Date.now = () => second * 1_000_000
    t.equal((await ask(plain)).body.toString(), 'whatever')
  }
  t.match(counts, { again: 0, anew: 4 })
  t.equal(kept[1]!.again?.whole, undefined)
})

t.test('who reads late gets what was answered then', async t => {
  const { answer } = counting()
  const { ask, open } = await serve(t, answer(keepAll()))
  const slow = await open()
  const path = encodeURIComponent(JSON.stringify({ ...plain, which: 3, id: 'slow' }))
  const asked = (line: string): string => `GET /${path} HTTP/1.1\r\nHost: x\r\n${line}\r\n`
  // All in one record: Node does not take more while its reader is late.
  const TIMES = 40
  slow.pause()
  slow.write(asked('').repeat(TIMES) + asked('Connection: close\r\n'))
  for (let round = 0; round < 20; round++) await ask({ ...plain, which: 3, id: 'fast' })
  const pieces: Buffer[] = []
  for await (const piece of slow) pieces.push(piece as Buffer)
  const got = Buffer.concat(pieces).toString('latin1')
  t.equal(got.split('X-Request-Id: slow\r\n').length, TIMES + 2)
  t.equal(got.split(bodyOf(3).toString('latin1')).length, TIMES + 2)
  t.notMatch(got, /fast/)
})

t.test('in clear nothing is kept', async t => {
  const kept = keep(Buffer.from('whatever'))
  const server = createServer((_message, response) => {
    const lines = linesOf(plain, kept)
    t.equal(answerAgain(response, 200, lines, kept), false)
    response.writeHead(200, lines)
    endWhole(response, kept.chunks)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  for (let time = 0; time < 3; time++) {
    t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'whatever')
  }
  t.equal(kept.again, undefined)
})
