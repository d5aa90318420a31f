/**
 * The secrets' face of an agent that is no server: whole exchanges through real sockets on both
 * sides, with servers that go away in between.
 */
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { resolveConfig } from '../../../src/agent/config.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Admission, NO_RATES } from '../../../src/http/admission.ts'
import { createSecretsFace } from '../../../src/http/secrets/server.ts'
import { boundsOfTests, until } from '../../http/harness.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../../secrets/harness.ts'
import { CLIENT_ID, type Edge, type ServerWorld, startEdge, startServer } from './world.ts'

interface Sent {
  readonly body?: string | Buffer
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly json: any
}

/** A server with secrets behind its RPC, and what its requests said of who sends them. */
async function serverWith(t: Test): Promise<ServerWorld & { test: TestSecrets; seen: string[] }> {
  const test = await openSecrets(t)
  await test.mount('kv', 'plain/')
  const seen: string[] = []
  const { secrets } = test
  const bounds = { blockEndpoints: [], allowWriteFrom: [], rates: NO_RATES }
  const clock = systemClock
  const face = createSecretsFace({
    ...{ ...boundsOfTests, random: systemRandom, log: silentLog },
    secrets: {
      cors: () => secrets.cors(),
      rate: head => secrets.rate(head),
      handle(asked, caller, rated) {
        seen.push(`${asked.facts.remote} ${asked.facts.forwarder}`)
        return secrets.handle(asked, caller, rated)
      },
    },
    admission: new Admission({ clock, log: silentLog, metrics: new Metrics(clock), ...bounds }),
  })
  t.teardown(() => face.close())
  return { ...(await startServer(t, { takeSecrets: face.takeForwarded })), test, seen }
}

/** An agent before these servers, and what sends one request to its secrets. */
async function edgeOf(t: Test, servers: readonly ServerWorld[], hcl = '') {
  const edge = await startEdge(t, servers, { hcl: `ports { secrets = 0 }\n${hcl}` })
  const bound = edge.agent.addresses.find(({ face }) => face === 'secrets')!
  return { edge, port: bound.port, ask: askerOf(bound.port) }
}

/** A way to a server that is cut as with its process: connections end, and none is taken. */
async function wayTo(t: Test, address: string): Promise<{ address: string; cut(): void }> {
  const [, to] = address.split(':')
  const sockets = new Set<Socket>()
  const relay = createServer(socket => {
    const server = connect(Number(to), '127.0.0.1')
    for (const one of [socket, server]) sockets.add(one.on('error', () => {}))
    socket.pipe(server).pipe(socket)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const cut = (): void => {
    relay.close()
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(cut)
  return { address: `127.0.0.1:${(relay.address() as AddressInfo).port}`, cut }
}

const askerOf =
  (port: number) =>
  (method: string, path: string, { body, token = ROOT_TOKEN, headers = {} }: Sent = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const asked = request(
        {
          ...{ host: '127.0.0.1', port, method, path, agent: false },
          headers: {
            ...(token === '' ? {} : { 'x-vault-token': token }),
            ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
            ...headers,
          },
        },
        response => {
          const parts: Buffer[] = []
          response.on('data', part => parts.push(part))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(parts).toString()
            const isJson = /json/.test(response.headers['content-type'] ?? '')
            const json = isJson && text !== '' ? JSON.parse(text) : undefined
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
          })
        },
      )
      asked.on('error', reject)
      asked.end(body)
    })

t.test('every verb, headers, refusals and what is long go through as they are', async t => {
  const server = await serverWith(t)
  const { ask, edge } = await edgeOf(t, [server])
  t.equal((await ask('PUT', '/v1/plain/a', { body: '{"password":"canary-1"}' })).status, 204)
  const read = await ask('GET', '/v1/plain/a')
  t.match(read.json, { data: { password: 'canary-1' }, request_id: String })
  t.equal(read.headers['x-request-id'], read.json.request_id)
  t.equal(read.headers['cache-control'], 'no-store')
  t.match((await ask('LIST', '/v1/plain')).json, { data: { keys: ['a'] } }, 'a verb of its own')
  t.match((await ask('GET', '/v1/plain?list=true')).json, { data: { keys: ['a'] } })
  const long = JSON.stringify({ long: 'x'.repeat(900_000) })
  t.equal((await ask('POST', '/v1/plain/long', { body: long })).status, 204)
  t.equal((await ask('GET', '/v1/plain/long')).json.data.long.length, 900_000)
  const wrapped = await ask('GET', '/v1/plain/a', { headers: { 'x-vault-wrap-ttl': '60s' } })
  const { token } = wrapped.json.wrap_info
  const unwrapped = await ask('PUT', '/v1/sys/wrapping/unwrap', { token })
  t.match(unwrapped.json, { data: { password: 'canary-1' } })
  t.equal((await ask('GET', '/v1/plain/none')).status, 404)
  t.match(await ask('GET', '/v1/plain/a', { token: '' }), { status: 403 })
  t.match(await ask('GET', '/v1/plain/a', { token: 'canary-2' }), { status: 403 })
  t.equal((await ask('PROPFIND', '/v1/plain/a')).status, 405)
  t.equal((await ask('GET', '/elsewhere')).status, 404)
  t.equal((await ask('DELETE', '/v1/plain/a')).status, 204)
  t.strictSame(new Set(server.seen), new Set([`127.0.0.1 ${CLIENT_ID}`]), 'who asks, and by whom')
  t.notMatch(edge.lines.join('\n'), /canary/, 'the agent tells nothing of it')
  const share = await ask('PUT', '/v1/sys/unseal', { body: '{"key":"canary-3"}' })
  t.match(share, { status: 400, json: { errors: [/this agent is no server/] } })
  t.equal((await ask('HEAD', '/v1/sys/health?activecode=299', { token: '' })).status, 299)
})

t.test('a sealed server says so, and is asked on', async t => {
  const server = await serverWith(t)
  const { ask } = await edgeOf(t, [server])
  const { barrier } = server.test
  server.test.barrier = undefined
  t.match(await ask('GET', '/v1/plain/a'), { status: 503, json: { errors: ['Vault is sealed'] } })
  server.test.barrier = barrier
  t.equal((await ask('GET', '/v1/plain/a')).status, 404)
})

t.test('a token that is bound to addresses sees the client, not the agent', async t => {
  const server = await serverWith(t)
  const { ask } = await edgeOf(t, [server])
  const made = async (cidrs: string[]): Promise<string> => {
    const body = JSON.stringify({ allowed_policies: 'default', token_bound_cidrs: cidrs })
    await ask('POST', '/v1/auth/token/roles/bound', { body })
    const created = await ask('POST', '/v1/auth/token/create/bound', { body: '{}' })
    return created.json.auth.client_token
  }
  const near = await made(['127.0.0.0/8'])
  t.equal((await ask('GET', '/v1/auth/token/lookup-self', { token: near })).status, 200)
  const far = await made(['192.0.2.0/24'])
  t.equal((await ask('GET', '/v1/auth/token/lookup-self', { token: far })).status, 403)
})

t.test('no server: nothing was done, in words that clients know; then it goes on', async t => {
  const server = await serverWith(t)
  const { edge, ask } = await edgeOf(t, [server])
  await ask('PUT', '/v1/plain/a', { body: '{"a":1}' })
  edge.channel.learn([])
  const none = await ask('GET', '/v1/plain/a')
  t.match(none, { status: 503, json: { errors: [/no server of the secrets is reached/] } })
  t.match(none.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  t.ok(none.headers['x-request-id'])
  edge.channel.learn([{ nodeId: 'server-0', address: server.rpc.address }])
  t.match(await ask('GET', '/v1/plain/a'), { status: 200, json: { data: { a: 1 } } })
})

t.test('a server is killed: whoever waits hears of it, others are served', async t => {
  const server = await serverWith(t)
  const { edge, ask } = await edgeOf(t, [server])
  const way = await wayTo(t, server.rpc.address)
  edge.channel.learn([{ nodeId: 'server-0', address: way.address }])
  await ask('PUT', '/v1/plain/a', { body: '{"a":1}' })
  // It hangs in the middle of a write that the first server has begun to take.
  const { secrets } = server.test
  const held = Promise.withResolvers<void>()
  const handle = secrets.handle.bind(secrets)
  secrets.handle = (asked, caller, rated) =>
    asked.path === 'plain/hangs'
      ? held.promise.then(() => handle(asked, caller, rated))
      : handle(asked, caller, rated)
  const before = server.seen.length
  const hanging = ask('PUT', '/v1/plain/hangs', { body: '{"a":1}' })
  await until(() => server.seen.length > before)
  edge.channel.learn([
    { nodeId: 'server-0', address: way.address },
    { nodeId: 'server-1', address: server.rpc.address },
  ])
  way.cut()
  const lost = await hanging
  t.equal(lost.status, 502, 'nobody knows what was done')
  t.match(lost.json.errors, [/not known what was done/])
  t.equal(server.seen.length, before + 1, 'it was not sent again')
  held.resolve()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) => ask('PUT', `/v1/plain/k${at}`, { body: '{"a":1}' })),
  )
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([204]))
  t.equal((await ask('GET', '/v1/plain/a')).status, 200)
})

t.test('a server that is gone from the beginning is passed by, also for writes', async t => {
  const server = await serverWith(t)
  const { edge, ask } = await edgeOf(t, [server])
  const refusing = createServer(socket => socket.destroy())
  refusing.listen(0, '127.0.0.1')
  await once(refusing, 'listening')
  t.teardown(() => refusing.close())
  const dead = refusing.address() as { port: number }
  edge.channel.learn([
    { nodeId: 'dead', address: `127.0.0.1:${dead.port}` },
    { nodeId: 'live', address: server.rpc.address },
  ])
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) => ask('PUT', `/v1/plain/k${at}`, { body: '{"a":1}' })),
  )
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([204]))
})

t.test('servers without secrets say so', async t => {
  const server = await startServer(t)
  const { ask } = await edgeOf(t, [server])
  t.match(await ask('GET', '/v1/plain/a'), {
    ...{ status: 501, json: { errors: ['the servers do not serve secrets'] } },
  })
})

t.test('it is off unless its port is stated', async t => {
  const server = await startServer(t)
  const edge: Edge = await startEdge(t, [server])
  t.notOk(edge.agent.addresses.some(({ face }) => face === 'secrets'))
  const configOf = (text: string) => {
    const texts = [{ name: 'a', text: `server = false\n${text}`, format: 'hcl' as const }]
    const given = { texts, flags: [], isDev: false }
    return resolveConfig(given, { hostName: 'host', interfaces: [], workingDir: '/' })
  }
  const portOf = (text: string): unknown => {
    const result = configOf(`data_dir = "/d"\nretry_join = ["a"]\n${text}`)
    return 'problems' in result ? result.problems.join() : result.config.ports.secrets
  }
  t.equal(portOf(''), -1)
  t.equal(portOf('ports { secrets = 8200 }'), 8200)
  t.equal(portOf('ports { secrets = 8200 }\nsecrets { enabled = false }'), -1)
  t.match(portOf('ports { secrets = 8200 }\naddresses { secrets = "10.0.0.1" }'), /TLS stated/)
})
