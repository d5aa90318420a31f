/**
 * A token of one half opens the other by nothing that its own half says: attack and near miss, on a
 * running server with both halves.
 */
import { request } from 'node:http'
import t, { type Test } from 'tap'
import { loadConfig, settleNodeId } from '../../src/agent/config-load.ts'
import { startAgent } from '../../src/agent/lifecycle.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { tempFolder } from '../clients/process.ts'
import { GrpcTestClient } from '../grpc/harness.ts'
import { until } from '../http/harness.ts'

const MANAGEMENT = '11111111-2222-4333-8444-555555555555'
const HEADERS = ['X-Consul-Token', 'X-Vault-Token'] as const

interface Got {
  readonly status: number
  readonly id: string
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly body: any
}

interface Sent {
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
}

function ask(port: number, method: string, path: string, { body, headers }: Sent = {}) {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  return new Promise<Got>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path: `/v1/${path}`, agent: false }
    const more = { ...headers, 'content-length': Buffer.byteLength(text) }
    const asked = request({ ...options, headers: more }, response => {
      const parts: Buffer[] = []
      response.on('data', part => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const answer = Buffer.concat(parts).toString()
        const isJson = /json/.test(response.headers['content-type'] ?? '') && answer !== ''
        resolve({
          status: response.statusCode ?? 0,
          id: String(response.headers['x-request-id']),
          text: answer,
          body: isJson ? JSON.parse(answer) : undefined,
        })
      })
    })
    asked.on('error', reject)
    asked.end(text)
  })
}

/** A server with access control and secrets that are initialised and unsealed. */
async function start(t: Test) {
  const load = () =>
    loadConfig([
      { name: 'dev', value: true },
      {
        name: 'hcl',
        value: `
          data_dir = "${tempFolder(t)}"
          ports { http = 0, dns = 0, grpc = 0, server = -1, secrets = 0 }
          acl {
            enabled = true
            default_policy = "deny"
            tokens { initial_management = "${MANAGEMENT}" }
          }
          audit { enabled = true }
          secrets { dev_root_token_id = "root" }
          limits { http_max_conns_per_client = -1 }`,
      },
    ])
  const loaded = await load()
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  const config = await settleNodeId(loaded.config, systemRandom)
  const running = await startAgent(config, { log: silentLog, load, leave: () => {} })
  t.teardown(() => running.stop())
  const portOf = (face: string) => running.addresses.find(one => one.face === face)!.port
  const [http, secrets] = [portOf('http'), portOf('secrets')]
  const as = (token: string, name: string) => ({ headers: { [name]: token } })
  const grpc = new GrpcTestClient(t, `127.0.0.1:${portOf('grpc')}`)
  const [kv, secret] = ['gatehouse/v1/kv.proto', 'gatehouse/v1/secrets.proto']
  return {
    /** How a read of a key, and one of a path of the secrets, end over gRPC, by each name. */
    byGrpc: async (token: string, { key = 'none', path = 'none' }) => {
      const names = ['x-consul-token', 'x-vault-token']
      const read = { protoFile: kv, path: 'gatehouse.v1.KV/Get' } as const
      const ask = { protoFile: secret, path: 'gatehouse.v1.Secrets/Read' } as const
      const asked = names.flatMap(name => [
        grpc.call(read, { key: Buffer.from(key) }, { [name]: token }),
        grpc.call(ask, { path }, { [name]: token }),
      ])
      return (await Promise.all(asked)).map(({ code }) => code)
    },
    registry: (method: string, path: string, token: string, body?: object | string) =>
      ask(http, method, path, { ...as(token, 'X-Consul-Token'), ...(body && { body }) }),
    secrets: (method: string, path: string, token: string, body?: object) =>
      ask(secrets, method, path, { ...as(token, 'X-Vault-Token'), ...(body && { body }) }),
    /** The same token under each name, to one port. */
    each: async (face: 'http' | 'secrets', method: string, path: string, token: string) => {
      const port = face === 'http' ? http : secrets
      const asked = HEADERS.map(name => ask(port, method, path, as(token, name)))
      const bearer = { headers: { Authorization: `Bearer ${token}` } }
      return (await Promise.all([...asked, ask(port, method, path, bearer)])).map(
        ({ status }) => status,
      )
    },
  }
}

type Server = Awaited<ReturnType<typeof start>>

/** A token of the secrets with a policy of a name. */
async function tokenOf({ secrets }: Server, more: object = {}) {
  const made = await secrets('POST', 'auth/token/create', 'root', { policies: ['ops'], ...more })
  return made.body.auth as { client_token: string; accessor: string }
}

/** What the journal has of a token's accessor. */
const recordsOf = async ({ registry }: Server, accessor: string): Promise<string> =>
  (await registry('GET', `operator/audit?accessor=${accessor}`, MANAGEMENT)).text

async function bindOps({ registry }: Server): Promise<void> {
  const rules = 'key_prefix "ops/" { policy = "write" }'
  await registry('PUT', 'acl/policy', MANAGEMENT, { Name: 'ops-keys', Rules: rules })
  const method = { Name: 'people', Type: 'secrets' }
  t.equal((await registry('PUT', 'acl/auth-method', MANAGEMENT, method)).status, 200)
  const rule = { AuthMethod: 'people', BindType: 'policy', BindName: 'ops-keys' }
  const selector = '"ops" in list.policies'
  const bound = { ...rule, Selector: selector }
  t.equal((await registry('PUT', 'acl/binding-rule', MANAGEMENT, bound)).status, 200)
}

t.test('into the secrets: nothing but by a grant', async t => {
  const server = await start(t)
  const { registry, secrets, each, byGrpc } = server
  await secrets('POST', 'secret/data/a', 'root', { data: { value: 'one' } })
  const read = 'secret/data/a'
  t.strictSame(await each('secrets', 'GET', read, MANAGEMENT), [403, 403, 403], 'management')
  const made = await registry('PUT', 'acl/token', MANAGEMENT, { Description: 'app' })
  const { AccessorID: accessor, SecretID: token } = made.body
  t.strictSame(await each('secrets', 'GET', read, token), [403, 403, 403])
  t.equal((await secrets('POST', `sys/grants/${accessor}`, MANAGEMENT, {})).status, 403, 'himself')
  const policy = 'path "secret/data/a" { capabilities = ["read"] }'
  await secrets('POST', 'sys/policies/acl/app', 'root', { policy })
  const granting = { policies: ['app'] }
  t.equal((await secrets('POST', `sys/grants/${accessor}`, 'root', granting)).status, 204)
  t.strictSame(await each('secrets', 'GET', read, token), [200, 200, 200], 'by each name')
  t.equal((await secrets('GET', read, MANAGEMENT)).status, 403, 'no other one')
  const denied = await secrets('GET', 'secret/data/b', token)
  t.equal(denied.status, 403)
  const why = await secrets('GET', `sys/internal/explain/${denied.id}`, 'root')
  t.match(why.body?.data, { accessor, policies: ['app'] }, 'explained by its accessor')
  const asked = { key: 'none', path: read }
  const [denial, given, nobody] = ['PERMISSION_DENIED', 'OK', 'UNAUTHENTICATED']
  t.strictSame(await byGrpc(MANAGEMENT, asked), [given, nobody, given, nobody])
  t.strictSame(await byGrpc(token, asked), [denial, given, denial, given], 'over gRPC')
  const records = await recordsOf(server, accessor)
  t.ok(records.includes(read), 'its reads are in the journal under its accessor')
  t.notOk(records.includes(token))
  t.equal((await registry('DELETE', `acl/token/${accessor}`, MANAGEMENT)).status, 200)
  t.strictSame(await each('secrets', 'GET', read, token), [403, 403, 403], 'it went with its token')
  t.equal((await secrets('GET', `sys/grants/${accessor}`, 'root')).status, 404)
})

t.test('into the registry: nothing but by a rule', async t => {
  const server = await start(t)
  const { registry, secrets, each, byGrpc } = server
  await registry('PUT', 'kv/ops/a', MANAGEMENT, 'one')
  const { client_token: token, accessor } = await tokenOf(server)
  t.strictSame(await each('http', 'GET', 'kv/ops/a', token), [403, 403, 403])
  t.strictSame(await each('http', 'GET', 'kv/ops/a', 'root'), [403, 403, 403], 'a root token')
  t.strictSame(await each('http', 'GET', 'kv/ops/a', `${token}x`), [403, 403, 403])
  await bindOps(server)
  t.strictSame(await each('http', 'GET', 'kv/ops/a', token), [200, 200, 200], 'by each name')
  t.equal((await registry('PUT', 'kv/ops/b', token, 'two')).status, 200)
  t.equal(
    (await registry('GET', 'kv/ops/a', 'root')).status,
    403,
    'a root token has another policy',
  )
  const denied = await registry('PUT', 'kv/other', token, 'two')
  t.match(denied.text, `token with AccessorID '${accessor}' lacks permission 'key:write'`)
  const why = await registry('GET', `acl/explain/${denied.id}`, MANAGEMENT)
  t.match(why.text, accessor)
  const asked = { key: 'ops/a', path: 'secret/data/a' }
  const [denial, given] = ['PERMISSION_DENIED', 'OK']
  t.strictSame(await byGrpc(token, asked), [given, denial, given, denial], 'over gRPC')
  const records = await recordsOf(server, accessor)
  t.ok(records.includes('ops/b'), 'its writes are in the journal under its accessor')
  t.notOk(records.includes(token))
  const self = await registry('GET', 'acl/token/self', token)
  t.match(self.body, { AccessorID: accessor, SecretID: '<hidden>', AuthMethod: 'people' })
  t.equal((await registry('POST', 'acl/logout', token)).status, 403, 'it is not ended here')
  const login = { AuthMethod: 'people', BearerToken: token }
  t.equal((await registry('POST', 'acl/login', '', login)).status, 400)
  const bounds = [{ num_uses: 5 }, { bound_cidrs: ['127.0.0.1/32'] }]
  for (const more of bounds) {
    const role = { allowed_policies: 'ops', token_bound_cidrs: ['127.0.0.1/32'] }
    await secrets('POST', 'auth/token/roles/bound', 'root', role)
    const path = 'bound_cidrs' in more ? 'auth/token/create/bound' : 'auth/token/create'
    const made = await secrets('POST', path, 'root', { policies: ['ops'], ...more })
    const got = await registry('GET', 'kv/ops/a', made.body.auth.client_token)
    t.equal(got.status, 403, JSON.stringify(more))
    t.match(got.text, 'is of no use here')
  }
  const wrapping = await ask2(server, token)
  t.equal((await registry('GET', 'kv/ops/a', wrapping)).status, 403, 'one that wraps')
  await secrets('POST', 'sys/namespaces/east', 'root')
  const east = await secrets('POST', 'east/auth/token/create', 'root', { policies: ['ops'] })
  t.equal(
    (await registry('GET', 'kv/ops/a', east.body.auth.client_token)).status,
    403,
    'east’s ops',
  )
  await secrets('POST', 'auth/token/revoke', 'root', { token })
  t.strictSame(await each('http', 'GET', 'kv/ops/a', token), [403, 403, 403], 'at once')
})

/** A wrapping token. */
async function ask2({ secrets }: Server, token: string): Promise<string> {
  const made = await secrets('POST', 'sys/wrapping/wrap', token, { a: 'b' })
  return made.body?.wrap_info?.token ?? 'hvs.none'
}

t.test('who waits with a token of the secrets is ended with it', async t => {
  const server = await start(t)
  const { registry, secrets } = server
  await bindOps(server)
  await registry('PUT', 'kv/ops/a', MANAGEMENT, 'one')
  const { client_token: token } = await tokenOf(server)
  const first = await registry('GET', 'kv/ops/a', token)
  const index = first.body[0].ModifyIndex
  let over: Got | undefined
  const waiting = registry('GET', `kv/ops/a?index=${index}&wait=5m`, token).then(got => {
    over = got
  })
  await secrets('POST', 'auth/token/revoke', 'root', { token })
  await until(() => over !== undefined)
  await waiting
  t.equal(over?.status, 403)
})

t.test('sealed: tokens of the registry work, of those of the secrets nobody can tell', async t => {
  const server = await start(t)
  const { registry, secrets, each } = server
  await bindOps(server)
  await registry('PUT', 'kv/ops/a', MANAGEMENT, 'one')
  const { client_token: token } = await tokenOf(server)
  const { body } = await registry('PUT', 'acl/token', MANAGEMENT, { Description: 'app' })
  t.equal((await registry('GET', 'kv/ops/a', token)).status, 200)
  t.equal((await secrets('PUT', 'sys/seal', 'root')).status, 204)
  t.equal((await registry('GET', 'kv/ops/a', MANAGEMENT)).status, 200)
  t.strictSame(await each('http', 'GET', 'kv/ops/a', token), [503, 503, 503])
  t.match((await registry('PUT', 'kv/ops/a', token, 'x')).text, /^Vault is sealed: /)
  t.equal((await registry('GET', 'kv/ops/a', 'chosen')).status, 503, 'one that somebody chose')
  const nobody = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
  t.equal((await registry('GET', 'kv/ops/a', nobody)).status, 403, 'one that is nobody’s')
  t.equal(
    (await registry('GET', 'status/leader', token)).status,
    200,
    'where no right is asked for',
  )
  t.equal((await registry('DELETE', `acl/token/${body.AccessorID}`, MANAGEMENT)).status, 200)
})
