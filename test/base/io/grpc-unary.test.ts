/**
 * Calls with one request and one answer, on the wire: each rule by a client that speaks bare
 * HTTP/2, and beside a server of the library, which is asked the same.
 */
import * as http2 from 'node:http2'
import { deflateSync, gzipSync } from 'node:zlib'
import * as grpc from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../../src/base/clock.ts'
import {
  type OneAnswer,
  type OneRequest,
  openPublicServer,
  type PublicServerOptions,
} from '../../../src/base/io/grpc-public.ts'
import { limits } from '../../../src/base/limits.ts'
import { silentLog } from '../../../src/base/log.ts'
import { FakeClock, settled } from '../../fake/clock.ts'

const PATH = '/a.B/Echo'
const HOLD = '/a.B/Hold'

/** A frame: what its head says may be untrue. */
function frame(message: Buffer, flag = 0, sizeBytes = message.length): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(sizeBytes, 1)
  return Buffer.concat([head, message])
}

interface Asking {
  readonly headers?: http2.OutgoingHttpHeaders
  /** Names of headers that are not sent. */
  readonly without?: readonly string[]
  readonly pieces?: readonly Buffer[]
  /** Whether it never says that it has sent everything. */
  readonly goesOn?: boolean
}

interface Told {
  readonly head: http2.IncomingHttpHeaders
  readonly trailers: http2.IncomingHttpHeaders
  readonly body: Buffer
  readonly rstCode: number
}

/** Asks, and gives what came until the stream closed (or, where it goes on, was answered). */
function ask(session: http2.ClientHttp2Session, asking: Asking): Promise<Told> {
  const { headers = {}, without = [], pieces = [], goesOn = false } = asking
  const all: http2.OutgoingHttpHeaders = {
    ...{ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' },
    ...headers,
  }
  const sent = Object.fromEntries(Object.entries(all).filter(([name]) => !without.includes(name)))
  const endStream = pieces.length === 0 && !goesOn
  return new Promise(resolve => {
    const stream = session.request(sent, { endStream })
    const body: Buffer[] = []
    let head: http2.IncomingHttpHeaders = {}
    let trailers: http2.IncomingHttpHeaders = {}
    stream.on('response', told => {
      head = told
    })
    stream.on('trailers', told => {
      trailers = told
    })
    stream.on('data', (chunk: Buffer) => body.push(chunk))
    stream.on('error', () => {})
    stream.on('end', () => {
      if (goesOn) stream.close()
    })
    stream.on('close', () => {
      resolve({ head, trailers, body: Buffer.concat(body), rstCode: stream.rstCode ?? -1 })
    })
    for (const piece of pieces) stream.write(piece)
    if (!goesOn && !endStream) stream.end()
  })
}

/** What a client makes of it, and where it was told. */
function outcomeOf({ head, trailers, body }: Told): string {
  const isWhole = head['grpc-status'] !== undefined
  const status = head['grpc-status'] ?? trailers['grpc-status'] ?? 'none'
  const where = isWhole ? 'in the head' : 'behind'
  const type = `${head['content-type'] ?? ''}`.startsWith('application/grpc') ? '' : ', no gRPC'
  const bytes = body.length > 0 ? `, ${body.length} bytes` : ''
  return `${head[':status']}: ${status} ${where}${type}${bytes}`
}

function connected(t: Test, port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1_000 })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  return session
}

interface Held {
  readonly call: OneRequest
  readonly answer: OneAnswer
}

async function open(t: Test, given: Partial<PublicServerOptions> = {}, clock: Clock = systemClock) {
  const held: Held[] = []
  let ids = 0
  const server = openPublicServer({
    ...{ clock, log: silentLog, handshakeTimeoutMs: 1_000, connectionsPerClient: 0 },
    ...{ keepaliveMs: limits.grpcKeepaliveMs, keepaliveTimeoutMs: limits.grpcKeepaliveTimeoutMs },
    load: async () =>
      new Map([
        [
          PATH,
          {
            form: 'unary',
            take: (call: OneRequest, answer: OneAnswer) =>
              answer.answer(call.request, { 'x-request-id': call.id ?? '' }),
          },
        ],
        [
          HOLD,
          {
            form: 'unary',
            take: (call: OneRequest, answer: OneAnswer) => void held.push({ call, answer }),
          },
        ],
      ] as const),
    names: {
      nextId: () => `id-${ids++}`,
      statusOf: (code, text, id) => ({ code, text, metadata: { 'x-request-id': id } }),
    },
    fallback: {
      form: 'duplex',
      take({ path }, answer) {
        answer.end({ code: 'UNIMPLEMENTED', text: path, metadata: {} })
        return { onMessage: () => {}, onHalfClose: () => {} }
      },
    },
    ...given,
  })
  const { port } = await server.listen('127.0.0.1', 0)
  t.teardown(async () => {
    server.cut()
    await server.close()
  })
  const session = connected(t, port)
  /** The next call of the method that holds. */
  const next = async (): Promise<Held> => {
    while (held.length === 0) await settled(1)
    return held.shift()!
  }
  return { server, port, session, held, next }
}

/** A server of the library with the same methods. */
async function openLibrary(t: Test): Promise<http2.ClientHttp2Session> {
  const server = new grpc.Server({
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': limits.grpcMessageSizeBytes,
  })
  const same = (bytes: Buffer): Buffer => bytes
  const add = (path: string, take: grpc.handleUnaryCall<Buffer, Buffer>): void => {
    server.register(path, take as never, same, same, 'unary')
  }
  add(PATH, (call, respond) => respond(null, call.request))
  add(HOLD, () => {})
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  t.teardown(() => server.forceShutdown())
  return connected(t, port)
}

const hello = Buffer.from('hello')
const most = limits.grpcMessageSizeBytes
const bytewise = [...frame(Buffer.alloc(300, 7))].map(byte => Buffer.from([byte]))
const timed = (timeout: string, path = PATH): http2.OutgoingHttpHeaders => ({
  'grpc-timeout': timeout,
  ':path': path,
})

/** What both servers say alike; `bytes` is the answer's length with its frame's head. */
const alike: Readonly<Record<string, [Asking, string]>> = {
  'a message': [{ pieces: [frame(hello)] }, '200: 0 behind, 10 bytes'],
  'an empty message': [{ pieces: [frame(Buffer.alloc(0))] }, '200: 0 behind, 5 bytes'],
  'a message in pieces of a byte': [{ pieces: bytewise }, '200: 0 behind, 305 bytes'],
  'the largest message': [
    { pieces: [frame(Buffer.alloc(most))] },
    `200: 0 behind, ${most + 5} bytes`,
  ],
  'no message': [{}, '200: 12 in the head'],
  'two messages': [{ pieces: [frame(hello), frame(hello)] }, '200: 12 in the head'],
  'a message that is too large': [
    { pieces: [frame(Buffer.alloc(most + 1))] },
    '200: 8 in the head',
  ],
  'the head of one, and no end': [
    { pieces: [frame(hello, 0, most + 1)], goesOn: true },
    '200: 8 in the head',
  ],
  'a message packed by gzip': [
    { headers: { 'grpc-encoding': 'gzip' }, pieces: [frame(gzipSync(hello), 1)] },
    '200: 0 behind, 10 bytes',
  ],
  'a message packed by deflate': [
    { headers: { 'grpc-encoding': 'deflate' }, pieces: [frame(deflateSync(hello), 1)] },
    '200: 0 behind, 10 bytes',
  ],
  'a message that is not packed, though it might be': [
    { headers: { 'grpc-encoding': 'gzip' }, pieces: [frame(hello)] },
    '200: 0 behind, 10 bytes',
  ],
  'a packing that nobody knows': [
    { headers: { 'grpc-encoding': 'snappy' }, pieces: [frame(hello, 1)] },
    '200: 12 in the head',
  ],
  'a packing that is none': [
    { headers: { 'grpc-encoding': 'gzip' }, pieces: [frame(hello, 1)] },
    '200: 13 in the head',
  ],
  'a message that is too large once unpacked': [
    {
      headers: { 'grpc-encoding': 'gzip' },
      pieces: [frame(gzipSync(Buffer.alloc(most + 1)), 1)],
    },
    '200: 8 in the head',
  ],
  'another type': [
    { headers: { 'content-type': 'application/json' }, pieces: [frame(hello)] },
    '415: none behind, no gRPC',
  ],
  'no type': [{ without: ['content-type'], pieces: [frame(hello)] }, '415: none behind, no gRPC'],
  'a type with what the messages are in': [
    { headers: { 'content-type': 'application/grpc+proto' }, pieces: [frame(hello)] },
    '200: 0 behind, 10 bytes',
  ],
  'no word of trailers': [{ without: ['te'], pieces: [frame(hello)] }, '200: 0 behind, 10 bytes'],
  'a deadline that is none': [
    { headers: timed('soon'), pieces: [frame(hello)] },
    '200: 13 in the head',
  ],
  'a deadline that passes': [
    { headers: timed('20m', HOLD), pieces: [frame(hello)] },
    '200: 4 in the head',
  ],
  'a deadline that does not': [
    { headers: timed('60S'), pieces: [frame(hello)] },
    '200: 0 behind, 10 bytes',
  ],
  'a deadline without its request': [{ headers: timed('20m'), goesOn: true }, '200: 4 in the head'],
}

/** Where we say something else, with the library's word: what it lets pass is no gRPC. */
const unlike: Readonly<Record<string, [asking: Asking, ours: string, theirs: string]>> = {
  'a message that is cut': [
    { pieces: [frame(hello, 0, 6)] },
    '200: 13 in the head',
    '200: 12 in the head',
  ],
  'a head that is cut': [
    { pieces: [Buffer.from([0, 0])] },
    '200: 13 in the head',
    '200: 12 in the head',
  ],
  'the beginning of a second message': [
    { pieces: [frame(hello), Buffer.from([0])] },
    '200: 12 in the head',
    '200: 0 behind, 10 bytes',
  ],
  'a flag that nobody knows': [
    { pieces: [frame(hello, 2)] },
    '200: 13 in the head',
    '200: 0 behind, 10 bytes',
  ],
  'a packed message without a word of how': [
    { pieces: [frame(hello, 1)] },
    '200: 13 in the head',
    '200: 0 behind, 10 bytes',
  ],
  'another verb': [
    { headers: { ':method': 'PUT' }, pieces: [frame(hello)] },
    '405: none behind, no gRPC',
    '200: 0 behind, 10 bytes',
  ],
  'another protocol whose name begins alike': [
    { headers: { 'content-type': 'application/grpc-web' }, pieces: [frame(hello)] },
    '415: none behind, no gRPC',
    '200: 0 behind, 10 bytes',
  ],
  'a deadline in words of its own': [
    { headers: timed('in 60 S or so'), pieces: [frame(hello)] },
    '200: 13 in the head',
    '200: 0 behind, 10 bytes',
  ],
  'a deadline in more than 24 days': [
    { headers: timed('597H', HOLD), pieces: [frame(hello)], goesOn: true },
    'waits',
    '200: 4 in the head',
  ],
}

t.test('what a client is told is what the library would say', async t => {
  const { session } = await open(t)
  const library = await openLibrary(t)
  for (const [name, [asking, outcome]] of Object.entries(alike)) {
    const told = await ask(session, asking)
    t.equal(outcomeOf(told), outcome, name)
    t.match(told.head['x-request-id'] ?? told.trailers['x-request-id'], /^id-\d+$/, `${name}: id`)
    t.equal(outcomeOf(await ask(library, asking)), outcome, `${name}, by the library`)
  }
})

t.test('where it is not, the library is laxer than gRPC', async t => {
  const { session, next } = await open(t)
  const library = await openLibrary(t)
  for (const [name, [asking, ours, theirs]] of Object.entries(unlike)) {
    if (ours !== 'waits') t.equal(outcomeOf(await ask(session, asking)), ours, name)
    else {
      const asked = ask(session, { ...asking, goesOn: false })
      const { call, answer } = await next()
      t.ok(call.leftMs! > 2 ** 31, name)
      answer.answer(hello, {})
      t.equal(outcomeOf(await asked), '200: 0 behind, 10 bytes', name)
    }
    t.equal(outcomeOf(await ask(library, asking)), theirs, `${name}, by the library`)
  }
})

t.test('an answer says what may be packed, and how it ended behind its message', async t => {
  const { session } = await open(t)
  const told = await ask(session, { pieces: [frame(hello)] })
  t.match(told.head, {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-accept-encoding': 'identity,deflate,gzip',
  })
  const again = await ask(session, { pieces: [frame(hello)] })
  t.strictSame({ ...again.head }, { ...told.head }, 'no answer adds to the head of another')
  t.equal(told.head.date, undefined)
  t.strictSame(told.body, frame(hello))
  t.match(told.trailers, { 'grpc-status': '0', 'x-request-id': 'id-0' })
  t.equal(told.rstCode, http2.constants.NGHTTP2_NO_ERROR)
})

t.test('who takes a call sees its metadata, its deadline and its client', async t => {
  const { session, next } = await open(t)
  const asked = ask(session, {
    headers: {
      ...timed('5S', HOLD),
      'x-some': ['a', 'b'],
      'x-some-bin': Buffer.from([1, 2]).toString('base64'),
    },
    pieces: [frame(hello)],
  })
  const { call, answer } = await next()
  t.match(call, { path: HOLD, remote: '127.0.0.1', id: 'id-0', request: hello })
  t.ok(call.leftMs! > 0 && call.leftMs! <= 5_000)
  t.equal(call.header('x-some'), 'a, b')
  t.equal(call.header('x-none'), undefined)
  t.strictSame({ ...call.metadata }, { 'x-some': 'a, b', 'x-some-bin': Buffer.from([1, 2]) })
  answer.refuse({
    code: 'NOT_FOUND',
    text: '100 % of “it”\n',
    metadata: { 'x-request-id': call.id!, 'x-more-bin': Buffer.from([255, 0]) },
  })
  const { head } = await asked
  t.match(head, {
    'grpc-status': '5',
    'grpc-message': '100 %25 of %E2%80%9Cit%E2%80%9D%0A',
    'x-request-id': 'id-0',
    'x-more-bin': '/wA=',
  })
  answer.answer(hello, {})
  t.pass('a second answer is none')
})

t.test('a call without a deadline has none', async t => {
  const { session, next } = await open(t)
  const asked = ask(session, { headers: { ':path': HOLD }, pieces: [frame(hello)] })
  const { call, answer } = await next()
  t.equal(call.leftMs, undefined)
  answer.answer(Buffer.alloc(0), {})
  await asked
})

t.test('who works at a call hears that nobody waits any more', async t => {
  const { session, next, server } = await open(t)
  const heard = (call: OneRequest): Promise<void> => new Promise(resolve => call.onOver(resolve))
  const late = ask(session, { headers: timed('30m', HOLD), pieces: [frame(hello)] })
  await heard((await next()).call)
  t.equal(outcomeOf(await late), '200: 4 in the head')
  const left = session.request({
    ...{ ':method': 'POST', ':path': HOLD, 'content-type': 'application/grpc', te: 'trailers' },
  })
  left.on('error', () => {})
  left.end(frame(hello))
  const { call, answer } = await next()
  left.close(http2.constants.NGHTTP2_CANCEL)
  await heard(call)
  answer.answer(hello, {})
  const answered = ask(session, { headers: { ':path': HOLD }, pieces: [frame(hello)] })
  const last = await next()
  last.answer.answer(hello, {})
  await heard(last.call)
  t.equal(outcomeOf(await answered), '200: 0 behind, 10 bytes')
  await heard(last.call)
  t.pass('also who asks when it is over')
  while (server.calls > 0) await settled(1)
})

t.test('a call that leaves before it is whole reaches nobody', async t => {
  const { port, held, server } = await open(t)
  const session = connected(t, port)
  const stream = session.request({
    ...{ ':method': 'POST', ':path': HOLD, 'content-type': 'application/grpc', te: 'trailers' },
  })
  stream.on('error', () => {})
  stream.write(frame(hello))
  while (server.calls === 0) await settled(1)
  // Node's client ends a stream that it resets, so it is the connection that goes.
  session.destroy()
  while (server.calls > 0) await settled(1)
  t.equal(held.length, 0)
})

t.test('an answer larger than the window of its client comes whole', async t => {
  const { session, next } = await open(t)
  const asked = ask(session, { headers: { ':path': HOLD }, pieces: [frame(hello)] })
  const large = Buffer.alloc(10_000_000, 'large')
  ;(await next()).answer.answer(large, { 'x-more': 'yes' })
  const told = await asked
  t.ok(told.body.equals(frame(large)))
  t.match(told.trailers, { 'grpc-status': '0', 'x-more': 'yes' })
})

t.test('who goes on sending after its answer is read for a while, and reset then', async t => {
  const clock = new FakeClock()
  const { session, server } = await open(t, {}, clock)
  const stream = session.request({
    ...{ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' },
  })
  stream.on('error', () => {})
  stream.resume()
  const closed = new Promise(resolve => stream.on('close', resolve))
  const answered = new Promise<http2.IncomingHttpHeaders>(resolve => stream.on('response', resolve))
  stream.write(frame(hello, 0, most + 1))
  t.match(await answered, { 'grpc-status': '8' })
  const sent = new Promise(resolve => stream.write(Buffer.alloc(1_000_000), resolve))
  await sent
  t.equal(server.calls, 1)
  while (server.calls > 0) await clock.advance(limits.grpcSweepMs)
  await closed
})

t.test('a connection without a call for long is let go', async t => {
  const clock = new FakeClock()
  const { session, server } = await open(t, {}, clock)
  await ask(session, { pieces: [frame(hello)] })
  await clock.advance(limits.grpcIdleMs - 1)
  await ask(session, { pieces: [frame(hello)] })
  await clock.advance(limits.grpcIdleMs - 1)
  t.equal(server.connections, 1, 'it was used')
  await clock.advance(2 * limits.grpcIdleMs)
  while (server.connections > 0) await settled(1)
  t.ok(session.closed)
})

t.test('a verb without a body is turned away', async t => {
  const { session } = await open(t)
  for (const verb of ['GET', 'HEAD', 'DELETE']) {
    const { head } = await ask(session, { headers: { ':method': verb } })
    t.match(head, { ':status': 405, allow: 'POST', 'x-request-id': /^id-/ }, verb)
  }
})
