/** Calls of gRPC that an agent that is no server sends on: through real sockets on both sides. */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { anonymous, type GrpcCall, type GrpcMethod } from '../../../src/grpc/declare.ts'
import { callService } from '../../../src/rpc/call.ts'
import { bothMethod, manyMethod, oneMethod } from '../../grpc/contracts.ts'
import { GrpcTestClient, startGrpc } from '../../grpc/harness.ts'
import { until } from '../../http/harness.ts'
import { startService } from '../../rpc/trial.ts'
import { CLIENT_ID, startEdge } from './world.ts'

/** A server with these methods, and a client of an agent before it. */
async function startBefore(
  t: Parameters<typeof startGrpc>[0],
  methods: readonly GrpcMethod[],
  hcl = '',
) {
  const server = await startGrpc(t, { methods })
  const rpc = await startService(
    t,
    callService(path => server.face.methodOf(path)),
  )
  const edge = await startEdge(t, [{ rpc }], { hcl })
  const { host, port } = edge.agent.addresses.find(({ face }) => face === 'grpc')!
  return { client: new GrpcTestClient(t, `${host}:${port}`), server, rpc, edge }
}

t.test('questions, answers, refusals and metadata are the server’s', async t => {
  const calls: GrpcCall[] = []
  let refusal: Refusal | undefined
  const one = oneMethod({
    access: anonymous,
    run(request, call) {
      calls.push(call)
      return refusal ?? { count: request.key.length }
    },
  })
  const { client, server } = await startBefore(t, [one], 'acl { tokens { default = "d3fault" } }')
  const headers = { 'x-consul-token': 'mine', 'x-some-bin': Buffer.from([0, 1, 2]) }
  const small = await client.call(one, { key: Buffer.from('abc') }, headers)
  t.same([small.code, small.answers[0]?.count], ['OK', 3])
  t.match(small.metadata.get('x-request-id'), [/-g/], 'of the server that answered')
  const [call] = calls
  t.match(call, { token: 'mine', remote: '127.0.0.1' })
  t.equal(call?.header('x-some-bin'), 'AAEC')
  t.equal(call?.who.request.forwarder, CLIENT_ID)
  const large = await client.call(one, { key: Buffer.alloc(3_000_000) })
  t.equal(large.answers[0]?.count, 3_000_000, 'in pieces')
  t.equal(calls[1]?.token, 'd3fault', 'the agent’s own where the client shows none')
  refusal = new Refusal(404, 'no such thing')
  const not = await client.call(one)
  t.match(not, { code: 'NOT_FOUND', text: 'no such thing' })
  t.equal(not.metadata.get('grpc-status-details-bin').length, 1)
  const unknown = await client.raw('/no.Such/Thing', Buffer.alloc(0))
  t.match(unknown, { code: 'UNIMPLEMENTED', text: 'there is no method no.Such/Thing' })
  const timed = await client.call(one, {}, {}, { deadline: Date.now() + 60_000 })
  t.equal(timed.code, 'NOT_FOUND')
  t.ok((calls.at(-1)?.leftMs ?? 0) > 1_000)
  t.equal(server.face.connections, 0, 'nothing came by a socket of its own')
})

t.test('streams go on, at the pace of their reader, and end on both sides', async t => {
  let produced = 0
  let isOver = false
  const many = manyMethod({
    access: anonymous,
    async run(_request, { signal }, out) {
      signal.addEventListener('abort', () => {
        isOver = true
      })
      while (!signal.aborted) {
        produced++
        if (!out.send({ blob: Buffer.alloc(100_000) })) await out.drained()
      }
    },
  })
  const both = bothMethod({
    access: anonymous,
    open: (_call, out) => ({
      async onMessage({ ID }) {
        await out.drained()
        out.send({ ID: ID * 2 })
      },
      onEnd: () => out.end(),
    }),
  })
  const { client } = await startBefore(t, [many, both])
  const slow = await client.open(many)
  slow.call.pause()
  slow.call.end({})
  await until(() => produced > 5)
  let last = -1
  await until(() => {
    const isStill = produced === last
    last = produced
    return isStill
  })
  t.ok(produced < 200, `${produced} messages before a reader who stopped`)
  slow.call.cancel()
  await until(() => isOver)
  const echo = await client.open(both)
  for (let ID = 1; ID <= 500; ID++) echo.send({ ID })
  echo.call.end()
  const { code, answers } = await echo.ended
  t.same([code, answers.length, answers.at(-1)?.ID], ['OK', 500, 1_000])
})

t.test('health is the agent’s own; what is an agent’s is forwarded to nobody', async t => {
  const own = oneMethod({ access: anonymous, isOfAgent: true, run: () => ({}) })
  const { client, rpc } = await startBefore(t, [own])
  t.match(await client.call(own), { code: 'UNIMPLEMENTED', text: /for the agent that was called/ })
  const health = { protoFile: 'grpc/health.proto', path: 'grpc.health.v1.Health/Check' } as const
  await rpc.server.close()
  t.equal((await client.call(health)).answers[0].status, 'SERVING')
})

t.test('without a server a call ends as unavailable', async t => {
  const one = oneMethod({ access: anonymous, run: () => ({}) })
  const { client, rpc, edge } = await startBefore(t, [one])
  await rpc.server.close()
  edge.channel.learn([])
  t.match(await client.call(one), { code: 'UNAVAILABLE', text: /No known Consul servers/ })
})
