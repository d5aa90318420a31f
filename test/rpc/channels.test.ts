/** Calls between agents over real sockets: who may, how they end, which server is asked. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t, { type Test } from 'tap'
import type { RpcError } from '../../src/base/io/grpc.ts'
import { limits } from '../../src/base/limits.ts'
import { RpcFailure, type RpcOut } from '../../src/base/rpc.ts'
import { openAgentChannel, openServerChannel, type ServerChannel } from '../../src/rpc/channels.ts'
import { makeAuthority } from '../x509/pki.ts'
import {
  type Answer,
  agents,
  CLIENT_ID,
  channelWorld,
  clientPair,
  echo,
  materialOf,
  open,
  type Running,
  SERVER_ID,
  serverPair,
  servers,
  startTrial,
  type Trial,
  talk,
} from './trial.ts'

const timeoutMs = 5_000

function channelTo(t: Test, trials: Running[], material = asClient(trials[0]!)): ServerChannel {
  const addresses = trials.map(({ address }, at) => ({ nodeId: `server-${at}`, address }))
  const channel = openServerChannel(
    addresses,
    channelWorld(() => material),
  )
  t.teardown(() => channel.close())
  return channel
}

const asClient = ({ ca }: Running) => materialOf(ca, clientPair(ca))
const asServer = ({ ca }: Running) => materialOf(ca, serverPair(ca))

t.test('who calls is known by his certificate', async t => {
  const trial = await startTrial(t)
  const channel = channelTo(t, [trial])
  const answer = await channel.call(agents, { text: 'hello' }, { timeoutMs })
  t.equal(answer.text, `hello client ${CLIENT_ID}`)
  const server = channelTo(t, [trial], asServer(trial))
  t.match(await server.call(servers, { text: '' }, { timeoutMs }), { text: ` server ${SERVER_ID}` })
})

t.test('numbers, bytes and what a oneof holds', async t => {
  const number = 2 ** 52 + 1
  const unary: Trial['unary'] = async ({ number, load }) => ({ number, load }) as Answer
  const channel = channelTo(t, [await startTrial(t, { ...echo, unary })])
  const load = Buffer.from([0, 255])
  const answer = await channel.call(agents, { number, load }, { timeoutMs })
  t.match(answer, { number, more: 'load', text: '' })
  t.same(answer.load, load)
})

t.test('each method says who may call it', async t => {
  const trial = await startTrial(t)
  const other = makeAuthority(t.testdir({ other: {} }), 'other')
  const callers = {
    none: materialOf(trial.ca),
    foreign: materialOf(trial.ca, serverPair(other)),
    nameless: materialOf(trial.ca, trial.ca.issue('nameless')),
    elsewhere: materialOf(trial.ca, trial.ca.issue('elsewhere', { uris: ['gatehouse://x/y/z'] })),
    client: asClient(trial),
    server: asServer(trial),
  }
  const expected = {
    none: ['ok', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
    foreign: ['ok', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
    nameless: ['ok', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
    elsewhere: ['ok', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
    client: ['ok', 'ok', 'PERMISSION_DENIED'],
    server: ['ok', 'ok', 'ok'],
  }
  for (const [name, material] of Object.entries(callers)) {
    const agent = openAgentChannel(channelWorld(() => material))
    t.teardown(() => agent.close())
    const ends: string[] = []
    for (const method of [open, agents, servers]) {
      const call = agent.call({ nodeId: SERVER_ID, address: trial.address }, method, {}, timeoutMs)
      ends.push(await call.then(() => 'ok').catch((error: RpcError) => error.code))
    }
    t.same(ends, expected[name as keyof typeof expected], name)
  }
})

t.test('a stream is refused to who may not open it', async t => {
  const trial = await startTrial(t)
  const channel = channelTo(t, [trial], materialOf(trial.ca))
  const ended = new Promise(resolve => {
    channel.open(talk, { onMessage: () => t.fail('nobody speaks'), onEnd: resolve })
  })
  t.match(await ended, { code: 'UNAUTHENTICATED', sent: false })
})

t.test('a server must show the name that is called', async t => {
  const trial = await startTrial(t)
  const agent = openAgentChannel(channelWorld(() => asServer(trial)))
  t.teardown(() => agent.close())
  const to = { nodeId: CLIENT_ID, address: trial.address }
  await t.rejects(agent.call(to, open, {}, 500), { code: 'UNAVAILABLE', sent: false })
  trial.show(materialOf(trial.ca, clientPair(trial.ca)))
  const client = openServerChannel(
    [to],
    channelWorld(() => asClient(trial)),
  )
  t.teardown(() => client.close())
  const call = client.call(open, {}, { timeoutMs: 500 })
  await t.rejects(call, { code: 'UNAVAILABLE', sent: false })
})

t.test('how a handler fails', async t => {
  const failures: Record<string, Error> = {
    refused: new RpcFailure('FAILED_PRECONDITION', 'not now'),
    broken: new TypeError('a secret stands here'),
  }
  const unary: Trial['unary'] = async ({ text = '' }) => {
    throw failures[text]
  }
  const channel = channelTo(t, [await startTrial(t, { ...echo, unary })])
  const refused = channel.call(agents, { text: 'refused' }, { timeoutMs })
  await t.rejects(refused, { code: 'FAILED_PRECONDITION', message: /not now/, sent: true })
  const broken = channel.call(agents, { text: 'broken' }, { timeoutMs })
  await t.rejects(broken, { code: 'INTERNAL', message: /internal error/ })
  await t.rejects(
    broken.catch(e => Promise.reject(e.message.includes('secret'))),
    false as never,
  )
})

t.test('a caller who no longer waits is noticed', async t => {
  let seen: { deadlineMs?: number; signal: AbortSignal } | undefined
  const unary: Trial['unary'] = (_request, call) => {
    seen = call
    return new Promise(resolve => call.signal.addEventListener('abort', () => resolve({})))
  }
  const channel = channelTo(t, [await startTrial(t, { ...echo, unary })])
  const call = channel.call(agents, {}, { timeoutMs: 300 })
  await t.rejects(call, { code: 'DEADLINE_EXCEEDED', sent: true })
  const { deadlineMs = 0, signal } = seen!
  t.ok(deadlineMs > 0 && deadlineMs <= 300)
  if (!signal.aborted) await once(signal, 'abort')
})

t.test('a message that is too large, either way', async t => {
  const unary: Trial['unary'] = async ({ number = 0 }) => ({ load: Buffer.alloc(number) })
  const trial = await startTrial(t, { ...echo, unary })
  const channel = channelTo(t, [trial])
  const most = limits.rpcMessageSizeBytes
  await channel.call(agents, { load: Buffer.alloc(most - 100) }, { timeoutMs })
  const load = Buffer.alloc(most + 1)
  await t.rejects(channel.call(agents, { load }, { timeoutMs }), { code: 'RESOURCE_EXHAUSTED' })
  const answer = channel.call(agents, { number: most }, { timeoutMs })
  await t.rejects(answer, { code: 'RESOURCE_EXHAUSTED' })
  const stranger = channelTo(t, [trial], materialOf(trial.ca))
  const small = { load: Buffer.alloc(limits.rpcUnknownMessageSizeBytes) }
  await t.rejects(stranger.call(open, small, { timeoutMs }), { code: 'RESOURCE_EXHAUSTED' })
})

/** A trial whose stream does as told by its messages. */
function openTalk() {
  const outs: RpcOut<Answer>[] = []
  const ends: string[] = []
  const trial: Trial = {
    ...echo,
    talk: (_call, out) => {
      outs.push(out)
      return {
        async onMessage({ text = '' }) {
          if (text === 'refuse') throw new RpcFailure('ABORTED', 'as you wish')
          out.send({ text })
        },
        onEnd: () => void ends.push('over'),
      }
    },
  }
  return { trial, outs, ends }
}

/** A stream whose messages and end can be waited for. */
function listen(channel: ServerChannel) {
  const got: string[] = []
  let wake = (): void => {}
  let end: { error: RpcError | undefined } | undefined
  const stream = channel.open(talk, {
    onMessage: ({ text = '' }) => {
      got.push(text)
      wake()
    },
    onEnd: error => {
      end = { error }
      wake()
    },
  })
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  return {
    stream,
    got,
    count: (n: number) => until(() => got.length >= n),
    ended: async () => {
      await until(() => end !== undefined)
      return end?.error
    },
  }
}

t.test('a stream: messages in order, and an end that is told once', async t => {
  const { trial, outs, ends } = openTalk()
  const channel = channelTo(t, [await startTrial(t, trial)])
  const { stream, got, count, ended } = listen(channel)
  t.equal(stream.serverId, 'server-0')
  for (const text of ['a', 'b', 'c']) stream.send({ text })
  await count(3)
  t.same(got, ['a', 'b', 'c'])
  stream.send({ text: 'refuse' })
  t.match(await ended(), { code: 'ABORTED', message: 'as you wish' })
  const second = listen(channel)
  second.stream.send({ text: 'd' })
  await second.count(1)
  outs[1]!.end()
  t.equal(await second.ended(), undefined)
  t.equal(outs[1]!.send({ text: 'late' }), false)
  t.same(ends, ['over', 'over'])
})

t.test('a stream that is cancelled is over on the other side', async t => {
  const { trial, ends } = openTalk()
  const channel = channelTo(t, [await startTrial(t, trial)])
  const { stream, count } = listen(channel)
  stream.send({ text: 'a' })
  await count(1)
  stream.cancel()
  while (ends.length === 0) await new Promise(resolve => setImmediate(resolve))
  t.same(ends, ['over'])
})

t.test('a slow reader is cut off before he costs memory', async t => {
  const { trial, outs } = openTalk()
  const channel = channelTo(t, [await startTrial(t, trial)])
  const { stream, count } = listen(channel)
  stream.send({ text: 'a' })
  await count(1)
  const text = 'x'.repeat(100)
  let sent = 0
  // No turn of the loop in between, so that nothing is read.
  while (sent <= 2 * limits.rpcStreamMessages && (outs[0]!.send({ text }) || sent < 20)) sent++
  t.ok(sent < limits.rpcStreamMessages, 'it was told to wait')
  for (let i = 0; i < 2 * limits.rpcStreamMessages; i++) outs[0]!.send({ text })
  t.equal(outs[0]!.send({ text }), false)
})

t.test('certificates are replaced while streams go on', async t => {
  const { trial } = openTalk()
  const running = await startTrial(t, trial)
  const { ca } = running
  const next = makeAuthority(t.testdir({ next: {} }), 'next')
  let own = asClient(running)
  const channel = openServerChannel(
    [{ nodeId: '', address: running.address }],
    channelWorld(() => own),
  )
  t.teardown(() => channel.close())
  const before = listen(channel)
  before.stream.send({ text: 'a' })
  await before.count(1)
  // The next root is trusted first, then leaves of it are shown.
  running.show(materialOf(ca, serverPair(next), next))
  const stranger = channel.call(agents, {}, { timeoutMs: 500 })
  await stranger.then(t.pass, t.fail)
  own = materialOf(ca, clientPair(next), next)
  const answer = await channel.call(agents, { text: '' }, { timeoutMs })
  t.equal(answer.text, ` client ${CLIENT_ID}`)
  before.stream.send({ text: 'b' })
  await before.count(2)
  t.same(before.got, ['a', 'b'])
  before.stream.cancel()
})

t.test('a peer that is refused: at the next call, and its streams', async t => {
  const { trial } = openTalk()
  const running = await startTrial(t, trial)
  const channel = channelTo(t, [running])
  const { stream, count, ended } = listen(channel)
  stream.send({ text: 'a' })
  await count(1)
  running.refuse(peer => peer.nodeId === CLIENT_ID)
  const call = channel.call(agents, {}, { timeoutMs })
  await t.rejects(call, { code: 'UNAUTHENTICATED', sent: false })
  t.match(await ended(), { code: 'UNAVAILABLE' })
})

t.test('servers: another is asked when one is surely not there', async t => {
  const asked: number[] = [0, 0]
  const count = (at: number): Trial => ({
    ...echo,
    unary: async () => {
      asked[at]!++
      return {}
    },
  })
  const first = await startTrial(t, count(0))
  const material = materialOf(first.ca, serverPair(first.ca))
  const second = await startTrial(t, count(1))
  second.show(material)
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  silent.close()
  const away = { ...first, address: `127.0.0.1:${port}` }
  const channel = channelTo(t, [first, away], asClient(first))
  for (let i = 0; i < 10; i++) await channel.call(agents, {}, { timeoutMs })
  t.same(asked, [10, 0])
  channel.learn([{ nodeId: 'x', address: first.address }])
  t.same(channel.servers, [{ nodeId: 'x', address: first.address }])
  await first.server.close()
  const call = channel.call(agents, {}, { timeoutMs: 300 })
  await t.rejects(call, { code: 'UNAVAILABLE', sent: false })
})

t.test('a call that may have been handled is repeated only where that does no harm', async t => {
  const asked: string[] = []
  const stopping = (name: string): Trial => ({
    ...echo,
    unary: async () => {
      asked.push(name)
      if (asked.length === 1) throw new RpcFailure('UNAVAILABLE', 'half done')
      return {}
    },
  })
  const trial = await startTrial(t, stopping('only'))
  const channel = channelTo(t, [trial])
  await t.rejects(channel.call(agents, {}, { timeoutMs }), { code: 'UNAVAILABLE', sent: true })
  asked.length = 0
  await channel.call(agents, {}, { timeoutMs, repeatable: true })
  t.equal(asked.length, 2)
})

t.test('a server that goes lets calls finish, and ends streams', async t => {
  const { trial } = openTalk()
  let finish = (_answer: Answer): void => {}
  const begun = new Promise<void>(resolve => {
    trial.unary = () => {
      resolve()
      return new Promise(done => {
        finish = done
      })
    }
  })
  const running = await startTrial(t, trial)
  const channel = channelTo(t, [running])
  const { stream, count, ended } = listen(channel)
  stream.send({ text: 'a' })
  await count(1)
  const call = channel.call(agents, {}, { timeoutMs })
  await begun
  const closed = running.server.close()
  t.match(await ended(), { code: 'UNAVAILABLE', message: 'the server is stopping' })
  finish({ text: 'in time' })
  t.match(await call, { text: 'in time' })
  await closed
})
