/**
 * Listening with TLS: handshakes that do not end, certificates that change under connections, who
 * is asked for one, and what of an older agreement still counts.
 */
import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { HttpListeners, type ListenerOptions } from '../../../src/base/io/http-listener.ts'
import { type SecureOptions, TlsMaterial } from '../../../src/base/tls.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { boundsOfTests } from '../../http/harness.ts'
import { type Authority, makeAuthority, type Pair } from '../../x509/pki.ts'

function listenersOf(t: Test, options: Partial<ListenerOptions> = {}): HttpListeners {
  const listeners = new HttpListeners({ ...boundsOfTests, ...options }, (_message, response) => {
    response.end('served')
  })
  t.teardown(async () => {
    listeners.cut()
    await listeners.close()
  })
  return listeners
}

const secureOf = (
  pair: Pair,
  ca: readonly Authority[] = [],
  more: Partial<SecureOptions> = {},
): SecureOptions => ({
  material: new TlsMaterial({
    cert: Buffer.from(pair.cert),
    key: Buffer.from(pair.key),
    ca: ca.map(each => Buffer.from(each.cert)),
  }),
  minVersion: 'TLSv1.2',
  ciphers: [],
  verifiesClients: ca.length > 0,
  ...more,
})

/** What a connection comes to: the answer to its request, or why there is none. */
function outcome(t: Test, options: ConnectionOptions): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(options)
    t.teardown(() => socket.destroy())
    let text = ''
    socket.once('secureConnect', () => socket.write(REQUEST))
    socket.on('data', data => {
      text += String(data)
    })
    socket.on('error', (error: { code?: string }) => resolve(text || `error ${error.code}`))
    socket.on('close', () => resolve(text || 'closed'))
  })
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

async function openSecure(t: Test, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect(options)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}

const ask = async (socket: Socket): Promise<string> => {
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const [data] = await once(socket, 'data')
  return String(data)
}

t.test('it is served over TLS 1.2 and 1.3, as HTTP/1.1, and over nothing else', async t => {
  const authority = makeAuthority(tempFolder(t))
  const listeners = listenersOf(t)
  const at = await listeners.listen('127.0.0.1', 0, secureOf(authority.issue('web')))
  const trusting = { ...at, ca: authority.cert }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const only = { ...trusting, minVersion: version, maxVersion: version }
    const socket = await openSecure(t, { ...only, ALPNProtocols: ['h2', 'http/1.1'] })
    t.equal(socket.getProtocol(), version)
    t.equal(socket.alpnProtocol, 'http/1.1')
    t.match(await ask(socket), 'served')
  }
  t.equal((await openSecure(t, trusting)).getProtocol(), 'TLSv1.3', 'the newer one is preferred')
  const old = { ciphers: 'DEFAULT@SECLEVEL=0' }
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    const options = { ...trusting, ...old, minVersion: version, maxVersion: version }
    t.match(await outcome(t, options), 'error ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  }
  const h2 = await outcome(t, { ...trusting, ALPNProtocols: ['h2'] })
  t.match(h2, 'NO_APPLICATION_PROTOCOL')
  const weak = { ...trusting, maxVersion: 'TLSv1.2' as const, ciphers: 'AES128-SHA@SECLEVEL=0' }
  t.match(await outcome(t, weak), 'HANDSHAKE_FAILURE')
})

t.test('nobody renegotiates', async t => {
  const authority = makeAuthority(tempFolder(t))
  const listeners = listenersOf(t)
  const at = await listeners.listen('127.0.0.1', 0, secureOf(authority.issue('web')))
  const socket = await openSecure(t, { ...at, ca: authority.cert, maxVersion: 'TLSv1.2' })
  const refused = once(socket, 'error')
  socket.renegotiate({}, () => {})
  t.match((await refused)[0].message, /no.renegotiation/i)
})

t.test('a handshake that does not end is ended; it counts for its client', async t => {
  const authority = makeAuthority(tempFolder(t))
  const listeners = listenersOf(t, { handshakeTimeoutMs: 300, connectionsPerClient: 3 })
  const at = await listeners.listen('127.0.0.1', 0, secureOf(authority.issue('web')))
  const raw = async (first = ''): Promise<Socket> => {
    const socket = connectPlain(at)
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(first)
    socket.resume()
    return socket
  }
  const half = [await raw(), await raw('\x16\x03\x01\x02\x00\x01')]
  const third = await openSecure(t, { ...at, ca: authority.cert })
  t.match(await ask(third), 'served')
  const tooMany = await outcome(t, { ...at, ca: authority.cert })
  t.match(tooMany, /^(closed|error ECONNRESET)$/, 'closed without a word')
  await until('both are ended', () => half.every(socket => socket.destroyed))
  t.match(await outcome(t, { ...at, ca: authority.cert }), 'served', 'and make room')
  t.match(await ask(third), 'served', 'who is through is not timed')
})

t.test('HTTP in clear is not answered, and reaches nobody', async t => {
  const authority = makeAuthority(tempFolder(t))
  const listeners = listenersOf(t)
  const at = await listeners.listen('127.0.0.1', 0, secureOf(authority.issue('web')))
  const socket = connectPlain(at)
  let text = ''
  socket.on('data', data => {
    text += String(data)
  })
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'close')
  t.notMatch(text, 'served')
  t.notMatch(text, 'HTTP/')
})

t.test('closing does not wait for handshakes that hang', async t => {
  const authority = makeAuthority(tempFolder(t))
  const listeners = listenersOf(t, { handshakeTimeoutMs: 60_000 })
  const at = await listeners.listen('127.0.0.1', 0, secureOf(authority.issue('web')))
  const sockets = await Promise.all(
    [1, 2, 3].map(async () => {
      const socket = connectPlain(at)
      socket.on('error', () => {}).resume()
      await once(socket, 'connect')
      return socket
    }),
  )
  // The last to be accepted answers when all are.
  t.match(await outcome(t, { ...at, ca: authority.cert }), 'served')
  await listeners.close()
  await until('they are closed', () => sockets.every(socket => socket.destroyed))
})

t.test('a certificate is replaced: new handshakes see it, connections go on', async t => {
  const folder = tempFolder(t)
  const [before, after] = [makeAuthority(folder, 'before'), makeAuthority(folder, 'after')]
  const listeners = listenersOf(t)
  const at = await listeners.listen('127.0.0.1', 0, secureOf(before.issue('web')))
  const kept = await openSecure(t, { ...at, ca: before.cert })
  t.match(await ask(kept), 'served')
  listeners.secure(secureOf(after.issue('web')))
  t.match(await ask(kept), 'served')
  t.match(await outcome(t, { ...at, ca: after.cert }), 'served')
  t.match(await outcome(t, { ...at, ca: before.cert }), 'error UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  listeners.secure(secureOf(after.issue('web2'), [], { minVersion: 'TLSv1.3' }))
  t.match(await outcome(t, { ...at, ca: after.cert, maxVersion: 'TLSv1.2' }), 'PROTOCOL_VERSION')
  t.match(await ask(kept), 'served')
})

t.test('clients are asked for a certificate from one moment to the next, and no more', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const web = authority.issue('web')
  const { cert, key } = authority.issue('client', { uses: ['clientAuth'] })
  const listeners = listenersOf(t)
  const at = await listeners.listen('127.0.0.1', 0, secureOf(web))
  const trusting = { ...at, ca: authority.cert }
  t.match(await outcome(t, trusting), 'served')
  listeners.secure(secureOf(web, [authority]))
  t.match(await outcome(t, trusting), /^(closed|error)/)
  t.match(await outcome(t, { ...trusting, cert, key }), 'served')
  listeners.secure(secureOf(web))
  t.match(await outcome(t, trusting), 'served')
})

/** A session that a server gave out for resuming; with TLS 1.3 it comes after the handshake. */
async function sessionOf(t: Test, options: ConnectionOptions): Promise<Buffer> {
  const socket = connect(options)
  t.teardown(() => socket.destroy())
  const session = once(socket, 'session')
  await once(socket, 'secureConnect')
  void ask(socket)
  return (await session)[0]
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`what was agreed before is not resumed past a change (${version})`, async t => {
    const folder = tempFolder(t)
    const authority = makeAuthority(folder)
    const other = makeAuthority(folder, 'other')
    const web = authority.issue('web')
    const { cert, key } = authority.issue('client', { uses: ['clientAuth'] })
    const listeners = listenersOf(t)
    const at = await listeners.listen('127.0.0.1', 0, secureOf(web))
    const trusting = { ...at, ca: authority.cert, minVersion: version, maxVersion: version }
    const open = await sessionOf(t, trusting)
    const resumed = await openSecure(t, { ...trusting, session: open })
    t.ok(resumed.isSessionReused(), 'as long as nothing changes it is resumed')
    t.match(await ask(resumed), 'served')
    listeners.secure(secureOf(web, [authority]))
    t.match(await outcome(t, { ...trusting, session: open }), /^(closed|error)/, 'no certificate')
    const shown = await sessionOf(t, { ...trusting, cert, key })
    t.match(await outcome(t, { ...trusting, cert, key, session: shown }), 'served')
    listeners.secure(secureOf(web, [other]))
    t.match(await outcome(t, { ...trusting, cert, key, session: shown }), /^(closed|error)/)
    t.match(await outcome(t, { ...trusting, session: shown }), /^(closed|error)/)
  })
}

t.test('whom a request came from is known, also when he has left since', async t => {
  const authority = makeAuthority(tempFolder(t))
  const seen: (string | undefined)[] = []
  const listeners = new HttpListeners(boundsOfTests, message => {
    message.socket.destroy()
    message.socket.once('close', () => seen.push(message.socket.remoteAddress))
  })
  t.teardown(() => listeners.close())
  const inClear = await listeners.listen('127.0.0.1', 0)
  const overTls = await listeners.listen('127.0.0.1', 0, secureOf(authority.issue('web')))
  await outcome(t, { ...overTls, ca: authority.cert })
  const plain = connectPlain(inClear)
  plain.on('error', () => {}).write(REQUEST)
  await until('both have left', () => seen.length === 2)
  // Nobody’s address would pass for a socket in a file, whose rights are those of the file.
  t.same(seen, ['127.0.0.1', '127.0.0.1'])
})

t.test('a socket in a file can speak TLS', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const listeners = listenersOf(t)
  const path = join(folder, 's.sock')
  await listeners.listenFile({ path, modeBits: 0o600 }, secureOf(authority.issue('web')))
  const options = { path, ca: authority.cert, servername: 'localhost' }
  t.match(await outcome(t, options), 'served')
})
