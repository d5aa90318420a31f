/**
 * The client before one real server: rights that come and go, a restart, a restored archive, and
 * more views than one connection takes.
 */
import path from 'node:path'
import t, { type Test } from 'tap'
import { type Change, type Client, type ConnectOptions, connect } from '../../src/client/mod.ts'
import { startDaemon } from '../clients/daemon.ts'
import { freePort, tempFolder, until } from '../clients/process.ts'
import type { Daemon } from '../clients/running.ts'

function open(t: Test, port: number, options: ConnectOptions = {}): Client {
  const client = connect({ servers: [`127.0.0.1:${port}`], ...options })
  t.teardown(() => client.close())
  return client
}

/** What a view tells, in short. */
function heard(view: { on(name: 'change', listener: (one: Change<unknown>) => void): void }) {
  const told: string[] = []
  view.on('change', ({ kind, key }) => told.push(`${kind} ${key}`))
  return told
}

const ROOT = '11111111-2222-4333-8444-555555555555'
const ACL = `acl {
  enabled = true default_policy = "deny"
  tokens { initial_management = "${ROOT}" }
}`

t.test('rights come and go under a view', async t => {
  const daemon = await startDaemon(t, { engine: 'memory', words: [`-hcl=${ACL}`] })
  const root = open(t, daemon.grpcPort, { token: ROOT })
  const write = async (method: string, url: string, body: object) => {
    const { status, text } = await withToken(daemon, method, url, body)
    t.equal(status, 200, `${method} ${url}: ${text}`)
    return JSON.parse(text)
  }
  const policy = { Name: 'app', Rules: 'key_prefix "app/" { policy = "read" }' }
  const { ID } = await write('PUT', '/v1/acl/policy', policy)
  const token = await write('PUT', '/v1/acl/token', { Policies: [{ Name: 'app' }] })
  const client = open(t, daemon.grpcPort, { token: token.SecretID })
  await root.kv.put('app/a', '1')
  await root.kv.put('other/b', '1')
  const view = client.follow('kv', '')
  const told = heard(view)
  await view.ready()
  t.same(told, ['added app/a'])
  await t.rejects(client.kv.put('app/a', '2'), { code: 'PERMISSION_DENIED', requestId: /./ })

  const wider = `${policy.Rules} key_prefix "other/" { policy = "read" }`
  await write('PUT', `/v1/acl/policy/${ID}`, { ...policy, Rules: wider })
  await until('it sees more', () => told.length === 2)
  t.same(told, ['added app/a', 'added other/b'])
  await write('PUT', `/v1/acl/policy/${ID}`, policy)
  await until('it sees less', () => told.length === 3)
  t.equal(told.at(-1), 'removed other/b')

  await write('DELETE', `/v1/acl/token/${token.AccessorID}`, {})
  await until('it knows that its token is gone', () => view.problem?.code === 'UNAUTHENTICATED')
  t.equal(view.isLive, false)
  t.equal(view.get('app/a')?.value.toString(), '1', 'what it knew stays')
  const nobody = open(t, daemon.grpcPort, { token: token.SecretID })
  await t.rejects(nobody.follow('kv', 'app/').ready(), { code: 'UNAUTHENTICATED' })
})

t.test('over a restart and a restored archive only what changed is told', async t => {
  const grpcPort = await freePort()
  const dataDir = path.join(tempFolder(t), 'data')
  const start = () => startDaemon(t, { dataDir, words: [`-grpc-port=${grpcPort}`] })
  let daemon = await start()
  const client = open(t, grpcPort)
  for (const key of ['a', 'b', 'c']) await client.kv.put(`app/${key}`, '1')
  const view = await client.follow('kv', 'app/').ready()
  const told = heard(view)
  const archive = await archiveOf(daemon)
  await daemon.kill()
  await until('it noticed', () => !view.isLive)
  t.equal(view.items.size, 3)
  daemon = await start()
  await until('it is live again', () => view.isLive)
  t.same(told, [])
  const index = await client.kv.put('app/b', '2')
  await client.kv.delete('app/c')
  await client.kv.put('app/d', '1')
  await until('it saw them', () => told.length === 3)
  t.same(told, ['changed app/b', 'removed app/c', 'added app/d'])
  t.equal(view.get('app/b')?.modifyIndex, index)

  told.length = 0
  t.equal((await sent(daemon, 'PUT', '/v1/snapshot', archive)).status, 200)
  await until('it saw the restore', () => view.get('app/c') !== undefined && view.isLive)
  t.same(view.get('app/d'), undefined)
  t.equal(view.get('app/b')?.value.toString(), '1')
  t.same([...told].sort(), [...new Set(told)].sort(), 'each key once')
  await client.kv.put('app/after', '1')
  await until('it goes on', () => view.get('app/after') !== undefined)
})

t.test('more views than one connection takes', async t => {
  const VIEWS = 300
  const words = ['-hcl=limits { http_max_conns_per_client = -1 }']
  const daemon = await startDaemon(t, { engine: 'memory', words })
  const client = open(t, daemon.grpcPort)
  const views = Array.from({ length: VIEWS }, (_, at) => client.follow('kv', `app/${at}/`))
  const told = views.map(heard)
  await Promise.all(views.map(view => view.ready()))
  await Promise.all(views.map((_, at) => client.kv.put(`app/${at}/x`, `${at}`)))
  await until('each saw its own', () => told.every(one => one.length > 0))
  t.same(
    told,
    views.map((_, at) => [`added app/${at}/x`]),
  )
})

async function archiveOf(daemon: Daemon): Promise<Buffer> {
  const response = await fetch(`http://127.0.0.1:${daemon.httpPort}/v1/snapshot`)
  return Buffer.from(await response.arrayBuffer())
}

async function sent(daemon: Daemon, method: string, url: string, body: Buffer, headers = {}) {
  const whole = `http://127.0.0.1:${daemon.httpPort}${url}`
  const response = await fetch(whole, { method, headers, body: new Uint8Array(body) })
  return { status: response.status, text: await response.text() }
}

function withToken(daemon: Daemon, method: string, url: string, body: object) {
  const headers = { 'X-Consul-Token': ROOT }
  return sent(daemon, method, url, Buffer.from(JSON.stringify(body)), headers)
}
