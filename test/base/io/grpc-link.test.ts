/**
 * One connection of the client package: answers, failures with all that they say, TLS, and streams
 * that end once.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { OperatingError, Refusal } from '../../../src/base/errors.ts'
import {
  type ApiLink,
  type LinkFailure,
  type LinkTls,
  openApiLink,
} from '../../../src/base/io/grpc-link.ts'
import { TlsMaterial } from '../../../src/base/tls.ts'
import {
  anonymous,
  type GrpcMethod,
  type GrpcOut,
  serverStream,
  unary,
} from '../../../src/grpc/declare.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { startGrpc } from '../../grpc/harness.ts'
import { makeAuthority } from '../../x509/pki.ts'

const GET = { protoFile: 'gatehouse/v1/kv.proto', path: 'gatehouse.v1.KV/Get' } as const
const FOLLOW = { protoFile: 'gatehouse/v1/feed.proto', path: 'gatehouse.v1.Feed/Follow' } as const

/** A server's answers to Get by the key that is asked for, and its streams. */
const streams: GrpcOut<object>[] = []
const signals: AbortSignal[] = []
const methods: readonly GrpcMethod[] = [
  unary<{ key: string }, object>({
    ...GET,
    summary: 'for tests',
    effect: 'reads',
    access: anonymous,
    run({ key }, { token, signal }) {
      switch (key) {
        case 'token':
          return { entry: { key, value: Buffer.from(token) } }
        case 'limit':
          return new Refusal(429, 'too fast')
        case 'uncertain':
          throw new OperatingError('uncertain', 'the answer was lost', 'unknown')
        case 'away':
          throw new OperatingError('unavailable', 'no quorum')
        case 'never':
          signals.push(signal)
          return new Promise(() => {})
        default:
          return { entry: null }
      }
    },
  }),
  serverStream<object, object>({
    ...FOLLOW,
    summary: 'for tests',
    effect: 'reads',
    access: anonymous,
    run(_request, { signal }, out) {
      streams.push(out)
      signals.push(signal)
      return new Promise(() => {})
    },
  }),
]

async function open(t: Test, address: string, tls?: LinkTls): Promise<ApiLink> {
  const link = await openApiLink(address, tls)
  t.teardown(() => link.close())
  return link
}

async function start(t: Test): Promise<ApiLink> {
  const { host, port } = await startGrpc(t, { methods })
  return open(t, `${host}:${port}`)
}

const options = (metadata = {}, timeoutMs = 10_000) => ({
  timeoutMs,
  metadata,
  signal: new AbortController().signal,
})

const failing = (link: ApiLink, key: string): Promise<LinkFailure> =>
  link.call(GET, { key }, options()).then(
    () => t.fail('it was answered'),
    (failure: LinkFailure) => failure,
  ) as Promise<LinkFailure>

t.test('a call shows its token, and gives the answer', async t => {
  const link = await start(t)
  await link.ready(10_000)
  const answer = await link.call(GET, { key: 'token' }, options({ 'x-consul-token': 'abc' }))
  t.match(answer, { entry: { key: 'token', value: Buffer.from('abc') } })
})

t.test(
  'a failure says its code, why, its id, when to come again, and what became of it',
  async t => {
    const link = await start(t)
    const limit = await failing(link, 'limit')
    t.match(limit, {
      code: 'RESOURCE_EXHAUSTED',
      message: 'too fast',
      reason: 'RATE_LIMITED',
      requestId: /-g[0-9a-z]+$/,
      retryAfterMs: 1_000,
      mayHaveHappened: false,
    })
    t.match(await failing(link, 'away'), {
      code: 'UNAVAILABLE',
      reason: 'NO_LEADER',
      mayHaveHappened: false,
    })
    t.match(await failing(link, 'uncertain'), {
      code: 'INTERNAL',
      reason: 'OUTCOME_UNKNOWN',
      mayHaveHappened: true,
    })
  },
)

t.test('without a connection nothing was sent; without an answer nobody knows', async t => {
  const silent = createServer(socket => socket.on('error', () => {}))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  silent.close()
  const away = await open(t, address)
  await t.rejects(away.ready(500), { code: 'UNAVAILABLE', mayHaveHappened: false })
  t.match(await failing(away, 'x'), { code: 'UNAVAILABLE', mayHaveHappened: false })
  const link = await start(t)
  const late = link.call(GET, { key: 'never' }, options({}, 100))
  await t.rejects(late, { code: 'DEADLINE_EXCEEDED', mayHaveHappened: true })
})

t.test('who gives a call up is not waited for on the server', async t => {
  const link = await start(t)
  const giveUp = new AbortController()
  const call = link.call(GET, { key: 'never' }, { ...options(), signal: giveUp.signal })
  const before = signals.length
  await until('it runs', () => signals.length > before)
  giveUp.abort()
  await t.rejects(call, { code: 'CANCELLED' })
  await until('the server knows', () => signals.at(-1)?.aborted === true)
  const never = link.call(GET, { key: 'never' }, { ...options(), signal: AbortSignal.abort() })
  await t.rejects(never, { code: 'CANCELLED' })
})

t.test('a stream gives what comes, and its end once', async t => {
  const link = await start(t)
  const messages: object[] = []
  const ends: (LinkFailure | undefined)[] = []
  const listener = { onMessage: (one: object) => messages.push(one), onEnd: ends.push.bind(ends) }
  const before = streams.length
  await link.listen(FOLLOW, { topic: 'kv' }, {}, listener)
  await until('it runs', () => streams.length > before)
  streams.at(-1)?.send({ heartbeat: { revision: 7, resume: 'r' } })
  await until('it came', () => messages.length === 1)
  t.match(messages, [{ frame: 'heartbeat', heartbeat: { revision: 7, resume: 'r' } }])
  streams.at(-1)?.end(new Refusal(503, 'gone'))
  await until('it ended', () => ends.length === 1)
  t.match(ends, [{ code: 'UNAVAILABLE', requestId: /./ }])
})

t.test('a stream that was cancelled says nothing more', async t => {
  const link = await start(t)
  const before = streams.length
  const stream = await link.listen(
    FOLLOW,
    { topic: 'kv' },
    {},
    { onMessage: () => t.fail('nothing was to come'), onEnd: () => t.fail('it was cancelled') },
  )
  await until('it runs', () => streams.length > before)
  stream.cancel()
  streams.at(-1)?.send({ heartbeat: { revision: 7, resume: 'r' } })
  await until('the server knows', () => signals.at(-1)?.aborted === true)
})

t.test('over TLS only a server whose certificate fits is spoken to', async t => {
  const ca = makeAuthority(tempFolder(t))
  const pair = ca.issue('server')
  const material = new TlsMaterial({
    cert: Buffer.from(pair.cert),
    key: Buffer.from(pair.key),
    ca: [Buffer.from(ca.cert)],
  })
  const { host, port } = await startGrpc(t, {
    methods,
    secure: { material, minVersion: 'TLSv1.2', ciphers: [], verifiesClients: false },
  })
  const ask = async (tls: LinkTls): Promise<object> => {
    const link = await open(t, `${host}:${port}`, tls)
    await link.ready(2_000)
    return link.call(GET, { key: 'x' }, options())
  }
  t.match(await ask({ ca: ca.cert }), {})
  t.match(await ask({ ca: ca.cert, serverName: 'localhost' }), {})
  await t.rejects(ask({ ca: ca.cert, serverName: 'other.example' }), { code: 'UNAVAILABLE' })
  await t.rejects(ask({}), { code: 'UNAVAILABLE' })
})
