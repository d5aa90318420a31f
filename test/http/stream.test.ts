/**
 * Answers that go on: they come as they are made, wait for slow clients, and end with either side.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import type { StreamedReply } from '../../src/http/declare.ts'
import { OpenStreams } from '../../src/http/stream.ts'
import { until } from './harness.ts'

type Parts = StreamedReply['parts']

async function serve(t: Test, parts: Parts) {
  const errors: unknown[] = []
  const log = { ...silentLog, error: (...all: unknown[]) => void errors.push(all) }
  const streams = new OpenStreams(log)
  const responses: ServerResponse[] = []
  const server = createServer((_, response) => {
    responses.push(response)
    void streams.send(response, ['Content-Type', 'text/x'], { status: 200, type: 'text/x', parts })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const open = async (): Promise<IncomingMessage> => {
    const asked = request({ port, host: '127.0.0.1', agent: false }).end()
    asked.on('error', () => {})
    const [message] = await once(asked, 'response')
    return message
  }
  return { streams, open, errors, responses }
}

/** What is refused; whoever lets go of it says so. */
let droppedParts = 0
const refused = {
  async *parts() {
    try {
      yield 'x'
    } finally {
      droppedParts++
    }
  },
}

/** Resolves with the signal. */
const aborted = (signal: AbortSignal): Promise<unknown> => once(signal, 'abort')

t.test('parts come one by one, and the stop ends the answer well', async t => {
  const { streams, open } = await serve(t, async function* (signal) {
    yield 'one\n'
    await aborted(signal)
    yield 'not sent\n'
  })
  const message = await open()
  t.equal(message.headers['content-type'], 'text/x')
  const [first] = await once(message, 'data')
  t.equal(String(first), 'one\n')
  t.equal(streams.size, 1)
  streams.stop()
  const rest: Buffer[] = []
  message.on('data', part => rest.push(part))
  await once(message, 'end')
  t.equal(Buffer.concat(rest).length, 0)
  t.equal(message.complete, true)
  await until(() => streams.size === 0)
  t.throws(() => streams.admit(refused), { code: 'busy' }, 'nobody new begins then')
})

t.test('a client that leaves frees the source', async t => {
  let freed = false
  const { streams, open, errors } = await serve(t, async function* (signal) {
    try {
      yield 'one\n'
      await aborted(signal)
    } finally {
      freed = true
    }
  })
  const message = await open()
  message.on('error', () => {})
  message.destroy()
  await until(() => freed && streams.size === 0)
  t.same(errors, [])
})

t.test('a client that left before the answer began frees the source too', async t => {
  const streams = new OpenStreams(silentLog)
  let asked = 0
  let freed = 0
  const parts: Parts = async function* () {
    try {
      for (;;) {
        asked++
        yield 'more\n'
      }
    } finally {
      freed++
    }
  }
  const server = createServer((_, response) => {
    response.once('close', () => {
      void streams.send(response, [], { status: 200, type: 'text/x', parts })
    })
    response.req.socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  request({ port, host: '127.0.0.1', agent: false })
    .end()
    .on('error', () => {})
  await until(() => freed === 1)
  t.ok(asked < 2)
  await until(() => streams.size === 0)
})

t.test('the source waits for a client that does not read', async t => {
  let asked = 0
  const { streams, open } = await serve(t, async function* () {
    for (;;) {
      asked++
      yield Buffer.alloc(65_536)
    }
  })
  const message = await open()
  message.pause()
  let before = -1
  await until(() => {
    const isStill = asked === before
    before = asked
    return isStill
  })
  t.ok(asked < 1_000, `${asked} parts of 64 KiB were taken`)
  message.resume()
  await until(() => asked > before + 100)
  streams.stop()
  await once(message, 'end')
  t.pass('and the stop reaches it too')
})

t.test(
  'what goes wrong later cuts the connection, for nobody to take a half for a whole',
  async t => {
    const { streams, open, errors } = await serve(t, async function* () {
      yield 'half\n'
      throw new Error('broken')
    })
    const message = await open()
    const [error] = await once(message.resume(), 'error')
    t.equal(error.code, 'ECONNRESET')
    t.match(errors, [['an answer was cut', { error: 'broken' }]])
    t.equal(streams.size, 0)
  },
)

t.test('only so many go on at a time', async t => {
  const { streams, open } = await serve(t, async function* (signal) {
    yield 'x'
    await aborted(signal)
  })
  for (let i = 0; i < limits.httpStreams; i++) await open()
  const before = droppedParts
  t.throws(() => streams.admit(refused), { code: 'busy' })
  await until(() => droppedParts > before)
  streams.stop()
  await until(() => streams.size === 0)
})
