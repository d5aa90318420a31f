/**
 * Listening for HTTP: how many connections one address has, what waits too long, sockets in files.
 */
import { chmod, lstat, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HttpListeners, type ListenerOptions } from '../../../src/base/io/http-listener.ts'
import { boundsOfTests, until } from '../../http/harness.ts'
import { connectRaw } from '../../http/wire.ts'

type Handle = (message: IncomingMessage, response: ServerResponse) => void

const say: Handle = (_message, response) => void response.end('served')

function listenersOf(
  t: Test,
  options: Partial<ListenerOptions> = {},
  handle: Handle = say,
): HttpListeners {
  const listeners = new HttpListeners({ ...boundsOfTests, ...options }, handle)
  t.teardown(async () => {
    listeners.cut()
    await listeners.close()
  })
  return listeners
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

t.test('a connection too many is told so before a byte of it is parsed', async t => {
  let parsed = 0
  const listeners = listenersOf(t, { connectionsPerClient: 3 }, (message, response) => {
    parsed++
    say(message, response)
  })
  const at = await listeners.listen('127.0.0.1', 0)
  const first = await Promise.all([1, 2, 3].map(() => connectRaw(t, at)))
  for (const connection of first) {
    connection.write(REQUEST)
    await connection.received(/served/)
  }
  const refused = await connectRaw(t, at)
  const answer = await refused.received(/calls\n$/)
  t.match(answer, /^HTTP\/1\.1 429 Too Many Requests\r\n/)
  t.match(answer, /Connection: close\r\n/)
  t.equal(Number(/Content-Length: (\d+)/.exec(answer)?.[1]), answer.split('\r\n\r\n')[1]?.length)
  refused.write(REQUEST)
  await refused.closed()
  t.equal(parsed, 3, 'what it sent reached nobody')
  first[0]?.socket.destroy()
  await until(async () => {
    const next = await connectRaw(t, at)
    next.write(REQUEST)
    return next.received(/served|429/).then(text => text.includes('served'))
  })
  t.equal(parsed, 4, 'one that left makes room')
  listeners.connectionsPerClient = 0
  for (let i = 0; i < 3; i++) {
    const free = await connectRaw(t, at)
    free.write(REQUEST)
    await free.received(/served/)
  }
  listeners.connectionsPerClient = 3
  t.match(await (await connectRaw(t, at)).received(/calls\n$/), '429', 'those before count')
})

t.test('each address has its own count', async t => {
  const listeners = listenersOf(t, { connectionsPerClient: 1 })
  const { port } = await listeners.listen('0.0.0.0', 0)
  for (const localAddress of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) {
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    t.teardown(() => socket.destroy())
    socket.write(REQUEST)
    const text = await new Promise<string>(resolve => {
      socket.once('data', data => resolve(String(data)))
    })
    t.match(text, 'served', localAddress)
  }
})

t.test(
  'who sends nothing, or half of something, is cut; who waits for an answer is not',
  async t => {
    const late: ServerResponse[] = []
    const bounds = { headerTimeoutMs: 300, requestTimeoutMs: 500 }
    const listeners = listenersOf(t, bounds, (_message, response) => void late.push(response))
    const at = await listeners.listen('127.0.0.1', 0)
    const waiting = await connectRaw(t, at)
    waiting.write(REQUEST)
    const silent = await connectRaw(t, at)
    const half = await connectRaw(t, at)
    half.write('GET / HTTP/1.1\r\nX: ')
    const slow = await connectRaw(t, at)
    slow.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
    t.match(await silent.closed(), /^(HTTP\/1\.1 408|$)/)
    t.match(await half.closed(), /^HTTP\/1\.1 408/)
    t.match(await slow.closed(), /^HTTP\/1\.1 408/)
    await until(() => late.length > 0)
    late[0]?.end('at last')
    t.match(await waiting.received(/at last/), '200 OK', 'it waited longer than any of them')
  },
)

t.test('an answer that is not taken in time is cut, where that is bounded', async t => {
  const listeners = listenersOf(t, { writeTimeoutMs: 200 }, () => {})
  const at = await listeners.listen('127.0.0.1', 0)
  const connection = await connectRaw(t, at)
  connection.write(REQUEST)
  t.equal(await connection.closed(), '')
})

async function folderOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-socket-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const askFile = (path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ path })
    socket.once('error', reject)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    let text = ''
    socket.on('data', data => {
      text += String(data)
    })
    socket.once('close', () => resolve(text))
  })

t.test('a socket in a file: its rights, no bound per client, gone at the end', async t => {
  const path = join(await folderOf(t), 'http.sock')
  const listeners = listenersOf(t, { connectionsPerClient: 1 })
  const { uid, gid } = process as unknown as { uid: number; gid: number }
  const owner = {
    user: String(process.getuid?.() ?? uid),
    group: String(process.getgid?.() ?? gid),
  }
  await listeners.listenFile({ path, ...owner, modeBits: 0o640 })
  t.equal((await lstat(path)).mode & 0o777, 0o640)
  const answers = await Promise.all([askFile(path), askFile(path), askFile(path)])
  for (const answer of answers) t.match(answer, 'served')
  await listeners.close()
  await t.rejects(lstat(path), { code: 'ENOENT' })
})

t.test('a stale socket is replaced, anything else is not', async t => {
  const folder = await folderOf(t)
  const stale = join(folder, 'stale')
  await makeStale(stale)
  t.ok((await lstat(stale)).isSocket(), 'a socket that nobody answers on')
  const listeners = listenersOf(t)
  await listeners.listenFile({ path: stale })
  t.match(await askFile(stale), 'served')
  await t.rejects(listenersOf(t).listenFile({ path: stale }), /another process listens on it/)
  t.match(await askFile(stale), 'served', 'and goes on doing so')
  const file = join(folder, 'file')
  await writeFile(file, 'kept')
  await t.rejects(listenersOf(t).listenFile({ path: file }), /is there, and is no socket/)
  const link = join(folder, 'link')
  await symlink(stale, link)
  await t.rejects(listenersOf(t).listenFile({ path: link }), /is there, and is no socket/)
  await t.rejects(listenersOf(t).listenFile({ path: join(folder, 'no/x') }), { code: 'ENOENT' })
  await t.rejects(listenersOf(t).listenFile({ path: `/${'x'.repeat(107)}` }), /longer than 107/)
  const unknown = { path: join(folder, 'x'), user: 'nobody-of-this-name' }
  await t.rejects(listenersOf(t).listenFile(unknown), /does not know nobody-of-this-name/)
})

/** Leaves a socket behind as a killed process does: closing it would remove the file. */
async function makeStale(path: string): Promise<void> {
  const other = `${path}-moved`
  const server = createServer()
  await new Promise<void>(resolve => server.listen({ path: other }, resolve))
  const { rename } = await import('node:fs/promises')
  await rename(other, path)
  await new Promise<void>(resolve => server.close(() => resolve()))
  await chmod(path, 0o600)
}

t.test(
  'what is refused before anybody handles it has a name, under which the reason is kept',
  async t => {
    const kept = new Map<string, string>()
    const nameRefused = (status: number, reason: string, remote: string): string => {
      const id = `id-${kept.size}`
      kept.set(id, `${status} ${reason} ${remote}`)
      return id
    }
    const bounds = { headerTimeoutMs: 100, requestTimeoutMs: 100, maxHeaderSizeBytes: 4_096 }
    const listeners = listenersOf(t, { ...bounds, connectionsPerClient: 2, nameRefused })
    const at = await listeners.listen('127.0.0.1', 0)
    const reasonOf = (answer: string): string | undefined =>
      kept.get(/^X-Request-Id: (.*)\r$/m.exec(answer)?.[1] ?? '')
    const slow = await connectRaw(t, at)
    slow.write('GET / HT')
    t.equal(reasonOf(await slow.closed()), '408 it did not come whole in time 127.0.0.1')
    const long = await connectRaw(t, at)
    long.write(`GET / HTTP/1.1\r\na: ${'x'.repeat(5_000)}\r\n\r\n`)
    t.equal(reasonOf(await long.closed()), '431 its head is too long 127.0.0.1')
    const odd = await connectRaw(t, at)
    odd.write('no request\r\n\r\n')
    t.equal(reasonOf(await odd.closed()), '400 what came is no request of HTTP 127.0.0.1')
    const both = await Promise.all([connectRaw(t, at), connectRaw(t, at)])
    for (const one of both) {
      one.write(REQUEST)
      await one.received(/served/)
    }
    const third = await connectRaw(t, at)
    const text = await third.received(/calls\n$/)
    t.equal(reasonOf(text), '429 its address has too many connections 127.0.0.1')
  },
)
