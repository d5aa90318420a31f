/**
 * gRPC with TLS: certificates that change under connections, who is asked for one, sockets in
 * files, and who is no speaker of HTTP/2.
 */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import {
  GrpcListeners,
  type GrpcListeners as Listeners,
} from '../../../src/base/io/grpc-listener.ts'
import { openPublicServer } from '../../../src/base/io/grpc-public.ts'
import { limits } from '../../../src/base/limits.ts'
import { silentLog } from '../../../src/base/log.ts'
import { type SecureOptions, TlsMaterial } from '../../../src/base/tls.ts'
import { tempFolder } from '../../clients/process.ts'
import { type Authority, makeAuthority, type Pair } from '../../x509/pki.ts'

const secureOf = (pair: Pair, ca: readonly Authority[] = []): SecureOptions => ({
  material: new TlsMaterial({
    cert: Buffer.from(pair.cert),
    key: Buffer.from(pair.key),
    ca: ca.map(each => Buffer.from(each.cert)),
  }),
  minVersion: 'TLSv1.2',
  ciphers: [],
  verifiesClients: ca.length > 0,
})

const same = (bytes: Buffer): Buffer => bytes

function openServer(t: Test) {
  const server = openPublicServer({
    ...{ clock: systemClock, log: silentLog, handshakeTimeoutMs: 1_000, connectionsPerClient: 0 },
    ...{ keepaliveMs: limits.grpcKeepaliveMs, keepaliveTimeoutMs: limits.grpcKeepaliveTimeoutMs },
    load: async () =>
      new Map([
        ['/a.B/Echo', { form: 'unary', take: ({ request }, answer) => answer.answer(request, {}) }],
      ]),
    names: { nextId: () => 'id', statusOf: (code, text) => ({ code, text, metadata: {} }) },
    fallback: {
      form: 'duplex',
      take({ path }, answer) {
        answer.end({ code: 'UNIMPLEMENTED', text: path, metadata: {} })
        return { onMessage: () => {}, onHalfClose: () => {} }
      },
    },
  })
  t.teardown(async () => {
    server.cut()
    await server.close()
  })
  return server
}

function clientOf(t: Test, address: string, credentials: grpc.ChannelCredentials) {
  const client = new grpc.Client(address, credentials, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': 'localhost',
  })
  t.teardown(() => client.close())
  return (text: string) =>
    new Promise<string>(resolve => {
      const deadline = Date.now() + 5_000
      client.makeUnaryRequest(
        '/a.B/Echo',
        same,
        same,
        Buffer.from(text),
        { deadline },
        (error, answer) => resolve(error === null ? String(answer) : grpc.status[error.code]!),
      )
    })
}

const trusting = (authority: Authority, pair?: Pair): grpc.ChannelCredentials =>
  grpc.credentials.createSsl(
    Buffer.from(authority.cert),
    pair === undefined ? null : Buffer.from(pair.key),
    pair === undefined ? null : Buffer.from(pair.cert),
  )

t.test('certificates change under connections, which go on', async t => {
  const [old, young] = [makeAuthority(tempFolder(t)), makeAuthority(tempFolder(t))]
  const server = openServer(t)
  const { host, port } = await server.listen('127.0.0.1', 0, secureOf(old.issue('localhost')))
  const address = `${host}:${port}`
  const first = clientOf(t, address, trusting(old))
  t.equal(await first('a'), 'a')
  server.secure(secureOf(young.issue('localhost')))
  t.equal(await first('b'), 'b', 'its connection goes on')
  t.equal(await clientOf(t, address, trusting(young))('c'), 'c')
  t.equal(await clientOf(t, address, trusting(old))('d'), 'UNAVAILABLE', 'it is shown the new one')
  t.equal(server.connections, 2)
})

t.test('clients are asked for a certificate where that is wanted', async t => {
  const [authority, other] = [makeAuthority(tempFolder(t)), makeAuthority(tempFolder(t))]
  const server = openServer(t)
  const own = secureOf(authority.issue('localhost'), [authority])
  const { host, port } = await server.listen('127.0.0.1', 0, own)
  const address = `${host}:${port}`
  const known = authority.issue('client')
  t.equal(await clientOf(t, address, trusting(authority, known))('a'), 'a')
  t.equal(await clientOf(t, address, trusting(authority))('b'), 'UNAVAILABLE')
  const stranger = trusting(authority, other.issue('client'))
  t.equal(await clientOf(t, address, stranger)('c'), 'UNAVAILABLE')
  server.secure(secureOf(authority.issue('localhost')))
  t.equal(await clientOf(t, address, trusting(authority))('d'), 'd', 'and no more after a reload')
})

async function closedOf(options: ConnectionOptions): Promise<string> {
  const socket = connect(options)
  const error = once(socket, 'error').then(([{ code }]) => String(code))
  return Promise.race([error, once(socket, 'close').then(() => 'closed')])
}

t.test('nothing but HTTP/2 is spoken, and nothing older than what is set', async t => {
  const authority = makeAuthority(tempFolder(t))
  const server = openServer(t)
  const secure = secureOf(authority.issue('localhost'))
  const at = await server.listen('127.0.0.1', 0, { ...secure, minVersion: 'TLSv1.3' })
  const ca = authority.cert
  t.match(await closedOf({ ...at, ca, ALPNProtocols: ['http/1.1'] }), 'NO_APPLICATION_PROTOCOL')
  t.match(await closedOf({ ...at, ca, servername: 'localhost' }), 'closed', 'without ALPN')
  const old = { maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] } as const
  t.match(await closedOf({ ...at, ca, ...old }), 'PROTOCOL_VERSION')
})

t.test('a socket in a file serves, and goes with its listener', async t => {
  const path = join(tempFolder(t), 'grpc.sock')
  const server = openServer(t)
  await server.listenFile({ path, modeBits: 0o600 })
  t.equal(await clientOf(t, `unix:${path}`, grpc.credentials.createInsecure())('x'), 'x')
  await server.close()
  t.notOk(existsSync(path))
})

t.test('handshakes that hang are ended, and do not hold a stop', async t => {
  const authority = makeAuthority(tempFolder(t))
  const taken: unknown[] = []
  const listeners: Listeners = new GrpcListeners(
    { handshakeTimeoutMs: 50, connectionsPerClient: 0 },
    socket => taken.push(socket),
  )
  const at = await listeners.listen('127.0.0.1', 0, secureOf(authority.issue('localhost')))
  const { connect: plain } = await import('node:net')
  const socket = plain(at)
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'close')
  const second = plain(at)
  second.on('error', () => {})
  await once(second, 'connect')
  listeners.stop()
  await once(second.resume(), 'close')
  t.equal(taken.length, 0)
})
