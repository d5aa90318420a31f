/**
 * Bytes on the gRPC port: damaged messages in whole calls, and damaged HTTP/2 frames, against a
 * face that serves the registry. Each call ends, none meets a fault of ours, and an honest client
 * is served all the while.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import type { GrpcMethod } from '../../src/grpc/declare.ts'
import type { Draw } from '../fake/random.ts'
import { type RunningGrpc, startGrpc } from '../grpc/harness.ts'
import { startBoth } from '../grpc/registry/harness.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, type Stock, stockOf } from './mutate.ts'

const BURST = 16
/** Who waits for more, or follows something, is left after so long. */
const PATIENCE_MS = 60
const STREAM_CANCELLED = 8
const HEAD_SIZE_BYTES = 5
const INTERNAL = '13'

/** A length-prefixed message, as its length says or otherwise. */
function frameOf(message: Buffer, flag = 0, sizeBytes = message.length): Buffer {
  const head = Buffer.alloc(HEAD_SIZE_BYTES)
  head.writeUInt8(flag & 0xff)
  head.writeUInt32BE(sizeBytes >>> 0, 1)
  return Buffer.concat([head, message])
}

/** Fields of protobuf as honest clients send them: texts, bytes, numbers, messages in messages. */
const honest = stockOf([
  '\x0a\x01a\x1a\x05hello',
  '\x0a\x03web\x10\x01\x1a\x01x',
  '\x0a\x0d\x12\x02n1\x1a\x0710.0.0.7\x1a\x0a\x0a\x01w\x12\x03web\x20\x50',
  '\x0a\x06health\x12\x03web\x1a\x11Service.Port == 80',
  '\x0a\x02kv\x12\x01a',
  '\x08\x01\x10\x96\x01\x1a\x04\x08\x0f\x10\x00',
  '\x0a\x10\x0a\x0e\x0a\x03set\x12\x01a\x22\x01v',
])
const messages: Stock = {
  inputs: honest.inputs,
  pieces: [
    ...['\xff\xff\xff\xff\x0f', '\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01', '\x0b\x0c', '\x0a\xff'],
    ...['\xed\xa0\x80', '\0', '\x0a\x00', '\x12\x00', '\x7a\x02\x08\x01'],
  ].map(text => Buffer.from(text, 'latin1')),
}

interface Call {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const odd: readonly (readonly [string, string])[] = [
  ['grpc-timeout', '1m'],
  ['grpc-timeout', '99999999999H'],
  ['grpc-timeout', 'x'],
  ['grpc-encoding', 'gzip'],
  ['grpc-encoding', 'identity'],
  ['grpc-encoding', 'none-such'],
  ['content-type', 'application/json'],
  ['content-type', 'application/grpc+proto'],
  ['x-consul-token', 'b1a8f4a0-0000-4000-8000-00000000dead'],
  ['authorization', 'Bearer '],
  ['x-trace-bin', '%%%'],
]

const callOf =
  (methods: readonly GrpcMethod[]) =>
  (draw: Draw): Call => {
    const frames = Array.from({ length: 1 + draw.below(3) }, () => {
      const message = mutated(draw, messages)
      if (draw.chance(80)) return frameOf(message)
      return frameOf(message, draw.below(4), draw.pick([0, 1, message.length - 1, 2 ** 32 - 1]))
    })
    const whole = Buffer.concat(frames)
    return {
      path: draw.chance(95) ? `/${draw.pick(methods).path}` : draw.pick(['/', '/a/b', '/..//x']),
      headers: draw.chance(30) ? Object.fromEntries([draw.pick(odd)]) : {},
      body: draw.chance(90) ? whole : mutated(draw, { ...messages, inputs: [whole] }),
    }
  }

/** Makes one call; gives its status, or how else it ended. */
function made(session: ClientHttp2Session, { path, headers, body }: Call): Promise<string> {
  return new Promise(resolve => {
    const stream = session.request({
      ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
      ...headers,
    })
    let status = 'none'
    const take = (found: { readonly [name: string]: unknown }): void => {
      const said = found['grpc-status']
      if (said === INTERNAL && found['grpc-message'] === 'internal error') status = 'fault'
      else if (said !== undefined) status = String(said)
      else if (found[':status'] !== undefined && found[':status'] !== 200) {
        status = `http ${String(found[':status'])}`
      }
    }
    const patience = setTimeout(() => stream.close(STREAM_CANCELLED), PATIENCE_MS)
    stream.on('response', take)
    stream.on('trailers', take)
    stream.on('data', () => {})
    // Reset by the other side: it has had enough.
    stream.on('error', () => {})
    stream.on('close', () => {
      clearTimeout(patience)
      resolve(status)
    })
    stream.end(body)
  })
}

/** A face of the registry's services, and what it logs of faults. */
async function served(t: Test): Promise<{
  readonly running: RunningGrpc
  readonly methods: readonly GrpcMethod[]
  check(): Promise<void>
}> {
  const faults: string[] = []
  const log: LiveLog = {
    ...silentLog,
    error: (message, fields) => void faults.push(`${message}: ${JSON.stringify(fields)}`),
  }
  const { methods, face } = await startBoth(t)
  const running = await startGrpc(t, { methods, authority: face.authority, log })
  const get = methods.find(({ path }) => path === 'gatehouse.v1.KV/Get')!
  return {
    ...{ running, methods },
    async check() {
      const ended = await running.client.call(get, { key: 'a' })
      if (ended.code !== 'OK') throw new Error(`an honest client got ${ended.code} ${ended.text}`)
      if (faults.length > 0) throw new Error(faults.splice(0).join('; '))
    },
  }
}

t.test('any messages', async t => {
  const { running, methods, check } = await served(t)
  const { host, port } = running
  const call = callOf(methods)
  const statuses = new Map<string, number>()
  let session: ClientHttp2Session | undefined
  t.teardown(() => session?.destroy())
  const run = async (burst: readonly Call[]): Promise<void> => {
    if (session === undefined || session.closed || session.destroyed) {
      session = connectHttp2(`http://${host}:${port}`)
      session.on('error', () => {})
    }
    const open = session
    for (const status of await Promise.all(burst.map(each => made(open, each)))) {
      if (status === 'fault') throw new Error('a fault of ours')
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    await check()
  }
  const count = await untilBudget(
    `bursts of ${BURST} gRPC calls`,
    2_000,
    casesOf({
      make: (draw: Draw) => Array.from({ length: BURST }, () => call(draw)),
      run,
      show: burst => burst.map(({ path, body }) => `${path} ${body.toString('base64')}`).join('\n'),
    }),
  )
  t.comment(JSON.stringify(Object.fromEntries([...statuses].sort())))
  t.ok(count > 0)
  t.ok((statuses.get('0') ?? 0) > 0, 'some were answered well')
  t.ok((statuses.get('3') ?? 0) > 0, 'some were refused')
})

/** What an honest client sends on a connection of its own, up to the end of its call. */
async function spoken(path: string, message: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = []
  const end = frameOf(message)
  let heard: () => void = () => {}
  const whole = new Promise<void>(resolve => {
    heard = resolve
  })
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (Buffer.concat(chunks).includes(end)) heard()
    })
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  const stream = session.request({
    ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
  })
  stream.on('error', () => {})
  stream.end(frameOf(message))
  await whole
  session.destroy()
  server.close()
  return Buffer.concat(chunks)
}

/** Sends bytes; gives how many came back until either side has had enough. */
function exchange({ host, port }: RunningGrpc, bytes: Buffer): Promise<number> {
  return new Promise(resolve => {
    const socket: Socket = connect({ host, port })
    let size = 0
    const patience = setTimeout(() => socket.destroy(), PATIENCE_MS)
    socket.on('data', (chunk: Buffer) => {
      size += chunk.length
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(patience)
      resolve(size)
    })
    socket.write(bytes)
  })
}

t.test('any frames', async t => {
  const { running, methods, check } = await served(t)
  const inputs: Buffer[] = []
  for (const message of honest.inputs) {
    for (const name of ['KV/Get', 'Registry/ListInstances', 'Sessions/KeepAlive']) {
      const { path } = methods.find(each => each.path === `gatehouse.v1.${name}`)!
      inputs.push(await spoken(`/${path}`, message))
    }
  }
  /** Frames that mean something: type, flags, stream. */
  const pieces = [
    '000000040100000000',
    '000008060000000000aaaaaaaaaaaaaaaa',
    '00000403000000000100000008',
    '0000040800000000007fffffff',
    '00000000010000000d',
    '000008070000000000000000010000000b',
    '0000050200000000010000000010',
    'ffffff000100000001',
    '000000090400000001',
  ].map(hex => Buffer.from(hex, 'hex'))
  let answered = 0
  const count = await untilBudget(
    `bursts of ${BURST} raw HTTP/2 connections`,
    1_000,
    casesOf({
      make: (draw: Draw) => Array.from({ length: BURST }, () => mutated(draw, { inputs, pieces })),
      async run(burst: readonly Buffer[]) {
        const sizes = await Promise.all(burst.map(bytes => exchange(running, bytes)))
        answered += sizes.filter(size => size > 0).length
        await check()
      },
      show: burst => burst.map(bytes => bytes.toString('hex')).join('\n'),
    }),
  )
  t.ok(count > 0)
  t.ok(answered > 0)
})
