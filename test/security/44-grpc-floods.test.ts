/**
 * Messages that are buffered past their limit, in clear and compressed (CVE-2024-37168); floods of
 * streams, of streams that are reset at once, of heads. Memory stays bounded and others are served.
 */
import { once } from 'node:events'
import * as http2 from 'node:http2'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import { anonymous } from '../../src/grpc/declare.ts'
import { oneMethod } from '../grpc/contracts.ts'
import { startGrpc } from '../grpc/harness.ts'
import { until } from '../http/harness.ts'

const echo = oneMethod({ access: anonymous, run: ({ key }) => ({ count: key.length }) })
const HEAD = {
  ':method': 'POST',
  ':path': `/${echo.path}`,
  'content-type': 'application/grpc',
  te: 'trailers',
}

async function start(t: Test) {
  const running = await startGrpc(t, { methods: [echo] })
  const open = (): http2.ClientHttp2Session => {
    const session = http2.connect(`http://${running.host}:${running.port}`, {
      // It is the other side whose bounds are looked at.
      maxSessionMemory: 1_000,
    })
    session.on('error', () => {})
    t.teardown(() => session.destroy())
    return session
  }
  /** Somebody else, who does nothing wrong. */
  const other = async () => (await running.client.call(echo, { key: Buffer.from('abc') })).answers
  t.match(await other(), [{ count: 3 }])
  return { ...running, open, other }
}

/** The frame of a message: of what length it says it is. */
function framed(bytes: Buffer, isCompressed: boolean, saidSizeBytes = bytes.length): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(isCompressed ? 1 : 0, 0)
  head.writeUInt32BE(saidSizeBytes, 1)
  return Buffer.concat([head, bytes])
}

interface Outcome {
  status: string | undefined
  readonly stream: http2.ClientHttp2Stream
}

function ask(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders): Outcome {
  const stream = session.request({ ...HEAD, ...headers })
  const outcome: Outcome = { status: undefined, stream }
  const note = (told: http2.IncomingHttpHeaders): void => {
    const status = told['grpc-status']
    if (status !== undefined) outcome.status = String(status)
  }
  stream.on('response', note)
  stream.on('trailers', note)
  stream.on('error', () => {})
  stream.resume()
  return outcome
}

const RESOURCE_EXHAUSTED = '8'
const MIB = 1_048_576

/** How much more memory the process holds at most while something goes on. */
async function growth(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().rss
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss)
  }, 5)
  await work()
  clearInterval(timer)
  return (Math.max(most, process.memoryUsage().rss) - before) / MIB
}

t.test('attack: messages that say they are larger than they may be', async t => {
  const { open, other } = await start(t)
  const session = open()
  const grew = await growth(async () => {
    const piece = Buffer.alloc(65_536)
    const asked = Array.from({ length: 50 }, () => {
      const outcome = ask(session, {})
      outcome.stream.write(framed(piece, false, 0xffff_ffff))
      // It goes on whatever it is told.
      for (let i = 0; i < 20; i++) outcome.stream.write(piece)
      return outcome
    })
    await until(() => asked.every(({ status }) => status !== undefined))
    t.ok(asked.every(({ status }) => status === RESOURCE_EXHAUSTED))
    t.match(await other(), [{ count: 3 }])
    for (const { stream } of asked) stream.close()
  })
  t.ok(grew < 250, `${Math.round(grew)} MiB for 50 messages of 4 GiB`)
})

t.test('attack: messages that are larger than they may be once unpacked', async t => {
  const { open, other } = await start(t)
  const session = open()
  const bomb = gzipSync(Buffer.alloc(64 * MIB))
  const grew = await growth(async () => {
    const asked = Array.from({ length: 60 }, () => {
      const outcome = ask(session, { 'grpc-encoding': 'gzip' })
      outcome.stream.end(framed(bomb, true))
      return outcome
    })
    await until(() => asked.every(({ status }) => status !== undefined))
    t.ok(asked.every(({ status }) => status === RESOURCE_EXHAUSTED))
    t.match(await other(), [{ count: 3 }])
  })
  t.ok(grew < 600, `${Math.round(grew)} MiB for 60 messages of 64 MiB`)
})

t.test('near miss: packed messages within the bound are taken', async t => {
  const { open } = await start(t)
  const key = Buffer.alloc(1_000_000)
  const message = Buffer.concat([Buffer.from([0x0a, 0xc0, 0x84, 0x3d]), key])
  const outcome = ask(open(), { 'grpc-encoding': 'gzip' })
  outcome.stream.end(framed(gzipSync(message), true))
  await until(() => outcome.status !== undefined)
  t.equal(outcome.status, '0')
})

t.test('attack: streams that are reset at once', async t => {
  const { open, other, face } = await start(t)
  const session = open()
  let isOver = false
  session.on('close', () => {
    isOver = true
  })
  const grew = await growth(async () => {
    for (let round = 0; round < 200 && !isOver; round++) {
      for (let i = 0; i < 100 && !session.destroyed; i++) {
        const stream = session.request(HEAD, { endStream: false })
        stream.on('error', () => {})
        stream.close(http2.constants.NGHTTP2_CANCEL)
      }
      await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => isOver)
  })
  t.pass('the server ends the connection')
  t.ok(grew < 250, `${Math.round(grew)} MiB`)
  t.match(await other(), [{ count: 3 }])
  await until(() => face.connections === 1)
})

t.test('attack: more streams than one connection may have', async t => {
  const { open, other, face } = await start(t)
  const session = open()
  const asked = Array.from({ length: limits.grpcCallsPerConnection * 2 }, () => ask(session, {}))
  await until(() => face.calls >= limits.grpcCallsPerConnection)
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
  t.equal(face.calls, limits.grpcCallsPerConnection, 'the others wait with their client')
  t.match(await other(), [{ count: 3 }])
  for (const { stream } of asked) stream.close()
  session.destroy()
  await until(() => face.calls === 0)
})

t.test('attack: heads that are too long, or too many', async t => {
  const { open, other } = await start(t)
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x-${i}`, 'v']))
  for (const headers of [many, { 'x-long': 'v'.repeat(100_000) }]) {
    const session = open()
    const { stream } = ask(session, headers)
    await new Promise(resolve => stream.once('close', resolve))
    t.not(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR)
  }
  t.match(await other(), [{ count: 3 }])
})

t.test('attack: what is no HTTP/2 at all', async t => {
  const { host, port, other, face } = await start(t)
  const { connect } = await import('node:net')
  for (const bytes of [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    '\0'.repeat(10_000),
    'PRI * HTTP/2.0',
  ]) {
    const socket = connect(port, host)
    socket.on('error', () => {})
    socket.write(bytes)
    socket.resume()
    if (!bytes.startsWith('PRI')) await once(socket, 'close')
    socket.destroy()
  }
  t.match(await other(), [{ count: 3 }])
  await until(() => face.connections === 1)
})
