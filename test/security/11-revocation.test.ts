/**
 * Class 11: what was revoked is honoured elsewhere: by a cache, by a connection, by who waits, by
 * what goes on, by what somebody left with us (CVE-2020-13170, CVE-2020-12797). A token that is
 * removed on one connection is refused by everything else. What the agent's own entries do with a
 * token that is gone stands in test/agent/local-state.rights.test.ts.
 */
import { Resolver } from 'node:dns/promises'
import { Agent, request } from 'node:http'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import { ROOT } from '../http/acl.ts'
import { startFace } from '../http/harness.ts'
import { propertyRuns, reached } from '../run/budget.ts'

const ALL = `agent_prefix "" { policy = "write" } key_prefix "" { policy = "write" }
  node_prefix "" { policy = "write" } service_prefix "" { policy = "write" }
  session_prefix "" { policy = "write" } event_prefix "" { policy = "write" }
  query_prefix "" { policy = "write" } operator = "write"`
const GONE = 'ACL not found'

interface Answer {
  readonly status: number
  readonly text: string
  readonly index: string
}

/** A client with connections of its own, which it keeps. */
function clientOf(t: Test, port: number, token: string) {
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const headers = { 'X-Consul-Token': token }
  return (method: string, path: string, body: object | string = ''): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, method, path, agent, headers }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', part => {
          text += part
        })
        response.on('error', reject)
        response.on('close', () => {
          const index = String(response.headers['x-consul-index'] ?? '')
          resolve({ status: response.statusCode ?? 0, text, index })
        })
      })
      asked.on('error', reject)
      const payload = typeof body === 'string' ? body : JSON.stringify(body)
      asked.setHeader('Content-Length', Buffer.byteLength(payload))
      asked.end(payload)
    })
}

const started = (t: Test): Promise<Daemon> =>
  startDaemon(t, {
    words: [
      '-hcl=acl { enabled = true default_policy = "deny" }',
      `-hcl=acl { tokens { initial_management = "${ROOT}" } }`,
      '-hcl=telemetry { prometheus_retention_time = "1h" }',
    ],
  })

/** How many blocking queries wait, by the daemon's own count. */
async function waiting(root: ReturnType<typeof clientOf>): Promise<number> {
  const { Gauges } = JSON.parse((await root('GET', '/v1/agent/metrics')).text)
  const gauge = (Gauges as { Name: string; Value: number }[]).find(({ Name }) =>
    /queries.blocking$/.test(Name),
  )
  return gauge?.Value ?? 0
}

/** Reads that who holds the policy may do. */
const READS = [
  ...['/v1/kv/a', '/v1/kv/?keys', '/v1/catalog/services', '/v1/catalog/nodes?cached'],
  ...['/v1/health/service/web', '/v1/health/service/web?cached', '/v1/health/state/any?stale'],
  ...['/v1/agent/self', '/v1/agent/services', '/v1/agent/metrics', '/v1/session/list', '/v1/query'],
  ...['/v1/event/list', '/v1/operator/raft/configuration', '/v1/acl/token/self'],
]
/** Reads that wait for the next change. */
const WAITS = ['/v1/kv/a', '/v1/kv/none', '/v1/health/service/web', '/v1/catalog/services']
/** Answers that go on. */
const STREAMS = ['/v1/agent/monitor?loglevel=trace', '/v1/agent/metrics/stream']

t.test(
  'attack: a token that was removed, by every way that it might still be honoured',
  async t => {
    const { httpPort, dnsPort } = await started(t)
    const root = clientOf(t, httpPort, ROOT)
    await root('PUT', '/v1/acl/policy', { Name: 'all', Rules: ALL })
    const make = async (): Promise<{ AccessorID: string; SecretID: string }> =>
      JSON.parse((await root('PUT', '/v1/acl/token', { Policies: [{ Name: 'all' }] })).text)
    const [doomed, other] = [await make(), await make()]
    const attacker = clientOf(t, httpPort, doomed.SecretID)
    const honest = clientOf(t, httpPort, other.SecretID)
    t.equal(
      (await honest('PUT', '/v1/agent/service/register', { Name: 'web', Port: 80 })).status,
      200,
    )
    await honest('PUT', '/v1/kv/a', 'x')
    const query = { Name: 'q', Token: doomed.SecretID, Service: { Service: 'web' } }
    t.equal((await attacker('POST', '/v1/query', query)).status, 200)
    await root('PUT', '/v1/agent/token/dns', { Token: doomed.SecretID })
    const nodesOf = async (): Promise<number> =>
      JSON.parse((await root('GET', '/v1/query/q/execute')).text).Nodes.length
    const resolver = new Resolver({ timeout: 10_000, tries: 3 })
    resolver.setServers([`127.0.0.1:${dnsPort}`])
    const inDns = (name: string): Promise<readonly string[]> =>
      resolver.resolve4(name).catch((error: { code: string }) => [error.code])
    t.equal(await nodesOf(), 1)
    t.strictSame(await inDns('web.service.consul'), ['127.0.0.1'])
    t.strictSame(await inDns('q.query.consul'), ['127.0.0.1'])
    // All that can be kept is kept by now.
    for (let i = 0; i < 2; i++) {
      for (const path of READS) t.equal((await attacker('GET', path)).status, 200, path)
    }
    const blocked = async (client: typeof attacker, path: string): Promise<Answer> => {
      const { index } = await client('GET', path)
      return client('GET', `${path}?index=${index}&wait=10m`)
    }
    const waits = WAITS.map(path => blocked(attacker, path))
    const honestly = blocked(honest, '/v1/kv/a')
    const streams = STREAMS.map(path => attacker('GET', path))
    await until('they wait', async () => (await waiting(root)) === WAITS.length + 1)

    const { status } = await root('DELETE', `/v1/acl/token/${doomed.AccessorID}`)
    t.equal(status, 200)
    for (const path of READS) {
      const { status, text } = await attacker('GET', path)
      t.strictSame([status, text], [403, GONE], `at once: ${path}`)
    }
    for (const [method, path] of [
      ...[
        ['PUT', '/v1/kv/a'],
        ['DELETE', '/v1/kv/a'],
        ['PUT', '/v1/agent/service/register'],
      ],
      ...[
        ['PUT', '/v1/session/create'],
        ['PUT', '/v1/txn'],
        ['PUT', '/v1/event/fire/x'],
      ],
    ] as const) {
      t.equal((await attacker(method!, path!, '{}')).text, GONE, `at once: ${method} ${path}`)
    }
    const kept = await root('GET', '/v1/query/q/execute')
    t.strictSame([kept.status, kept.text], [403, GONE], 'a query that kept it shows nothing')
    t.strictSame(await inDns('web.service.consul'), ['ENOTFOUND'])
    t.match((await inDns('q.query.consul'))[0], /^E[A-Z]+$/, 'not in DNS either')
    for (const [i, answer] of (await Promise.all(waits)).entries()) {
      t.strictSame([answer.status, answer.text], [403, GONE], `who waited: ${WAITS[i]}`)
    }
    t.equal((await Promise.all(streams)).length, STREAMS.length, 'what went on has ended')

    await until('one still waits', async () => (await waiting(root)) === 1)
    await honest('PUT', '/v1/kv/a', 'y')
    t.equal((await honestly).status, 200, 'near miss: another token with the same rights waits on')
    t.equal((await honest('GET', '/v1/catalog/services')).status, 200)
  },
)

type Step =
  | { readonly what: 'policy'; readonly level: 'read' | 'write' | 'deny' }
  | { readonly what: 'link' | 'unlink' | 'delete' | 'create' | 'role' | 'unrole' }

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    what: fc.constant('policy' as const),
    level: fc.constantFrom('read' as const, 'write' as const, 'deny' as const),
  }),
  fc.record({
    what: fc.constantFrom(...(['link', 'unlink', 'delete', 'create', 'role', 'unrole'] as const)),
  }),
)

t.test('generated: after any change the very next request is answered by it', async t => {
  const face = await startFace(t, { acl: {} })
  const root = face.client.as(ROOT)
  await root.put('/v1/kv/a', 'x')
  let id = 0
  let changes = 0
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 8 }), async given => {
      const name = `p${id++}`
      const put = (path: string, body: object) => root.raw('PUT', path, body)
      const rules = (level: string): string => `key_prefix "" { policy = "${level}" }`
      const { ID } = (await put('/v1/acl/policy', { Name: name, Rules: rules('read') })).json
      const role = { Name: name, Policies: [{ ID }] }
      const roleId = (await put('/v1/acl/role', role)).json.ID
      const secret = `bbbbbbbb-0000-4000-8000-${String(id).padStart(12, '0')}`
      let accessor: string | undefined
      const model = { level: 'read', isLinked: true, hasRole: false, isThere: false }
      const body = (): object => ({
        Policies: model.isLinked ? [{ ID }] : [],
        Roles: model.hasRole ? [{ ID: roleId }] : [],
      })
      const write = async (): Promise<void> => {
        if (accessor === undefined) return
        const answer = await put(`/v1/acl/token/${accessor}`, body())
        if (answer.status !== 200) throw new Error(answer.text)
      }
      const apply = async (step: Step): Promise<void> => {
        changes++
        if (step.what === 'policy') {
          model.level = step.level
          await put(`/v1/acl/policy/${ID}`, { Name: name, Rules: rules(step.level) })
        } else if (step.what === 'create') {
          if (model.isThere) return
          accessor = (await put('/v1/acl/token', { SecretID: secret, ...body() })).json.AccessorID
          model.isThere = true
        } else if (step.what === 'delete') {
          if (!model.isThere) return
          await root.raw('DELETE', `/v1/acl/token/${accessor}`)
          accessor = undefined
          model.isThere = false
        } else {
          if (step.what === 'link' || step.what === 'unlink') model.isLinked = step.what === 'link'
          else model.hasRole = step.what === 'role'
          await write()
        }
      }
      const client = face.client.as(secret)
      for (const step of [{ what: 'create' } as const, ...given]) {
        await apply(step)
        const may = model.isThere && (model.isLinked || model.hasRole) ? model.level : 'deny'
        const wanted = {
          read: !model.isThere || may === 'deny' ? 403 : 200,
          write: may === 'write' ? 200 : 403,
        }
        const [read, again, wrote] = await Promise.all([
          client.raw('GET', '/v1/kv/a'),
          client.raw('GET', '/v1/kv/a?raw'),
          client.raw('PUT', '/v1/kv/b', 'x'),
        ])
        const got = [read.status, again.status, wrote.status].join()
        const due = [wanted.read, wanted.read, wanted.write].join()
        if (got !== due) throw new Error(`${JSON.stringify(step)}: ${got}, not ${due}`)
        if (!model.isThere && read.text !== GONE) throw new Error(read.text)
      }
    }),
    { numRuns: propertyRuns() },
  )
  reached('changes of rights', changes)
})
