/**
 * The daemon as a process: what survives a restart, how it ends, and what stands in its way.
 */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import t from 'tap'
import { agentWords, daemonOf, program, root, startDaemon } from '../clients/daemon.ts'
import { freePort, launch, tempFolder, until } from '../clients/process.ts'

interface Self {
  readonly Config: { readonly NodeID: string }
}

t.test('what was acknowledged survives a restart', async t => {
  const dataDir = tempFolder(t)
  const first = await startDaemon(t, { dataDir })
  const put = async (url: string, body: string | object) =>
    t.equal((await first.ask('PUT', url, body)).status, 200, url)
  await put('/v1/kv/a?flags=18446744073709551615', 'kept')
  await put('/v1/agent/service/register', { Name: 'web', Port: 80, Check: { TTL: '1h' } })
  await put('/v1/agent/check/pass/service:web?note=well', '')
  await put('/v1/catalog/register', {
    Node: 'ext',
    Address: '10.0.0.9',
    Service: { Service: 'db' },
  })
  await put('/v1/session/create', { Name: 'kept', TTL: '3600s' })
  const before = await everything(first.read)
  t.equal(await first.stop(), 0)

  const second = await startDaemon(t, { dataDir })
  t.same(await everything(second.read), before)
  const again = await second.ask('GET', '/v1/kv/a')
  const index = Number(again.headers['x-consul-index'])
  t.equal(index, before.entry[0]?.ModifyIndex, 'the index that clients wait on is the same')
  await second.ask('PUT', '/v1/kv/a', 'new')
  const later = await second.ask('GET', '/v1/kv/a')
  t.ok(Number(later.headers['x-consul-index']) > index, 'and grows on from there')
})

/** What clients can read, without what the time of the start decides. */
async function everything(read: <T>(url: string) => Promise<T>) {
  const { Config } = await read<Self>('/v1/agent/self')
  const check = (
    await read<Record<string, { Status: string; Output: string }>>('/v1/agent/checks')
  )['service:web']
  return {
    nodeId: Config.NodeID,
    entry: await read<{ ModifyIndex: number }[]>('/v1/kv/?recurse'),
    services: await read('/v1/agent/services'),
    check: [check?.Status, check?.Output],
    instances: [await read('/v1/health/service/web'), await read('/v1/health/service/db')],
    sessions: await read('/v1/session/list'),
  }
}

t.test('a store that is older than it was is refused, by name, and left alone', async t => {
  const dataDir = tempFolder(t)
  const store = path.join(dataDir, 'store/store')
  const copy = path.join(tempFolder(t), 'copy')
  const first = await startDaemon(t, { dataDir })
  await first.ask('PUT', '/v1/kv/a', 'old')
  await first.stop()
  cpSync(store, copy, { recursive: true })
  const second = await startDaemon(t, { dataDir })
  await second.ask('PUT', '/v1/kv/a', 'new')
  await second.kill()
  rmSync(store, { recursive: true })
  cpSync(copy, store, { recursive: true })
  const refused = launch(t, program, agentWords(dataDir))
  t.equal(await refused.ended, 1)
  t.match(refused.stderr(), `the store in ${path.join(dataDir, 'store')} is damaged`)
  t.match(refused.stderr(), /It was not opened\. Restore a snapshot/)
  // The way out that the refusal names.
  const [wayOut = ''] = /-store-accept-revision=\d+/.exec(refused.stderr()) ?? []
  const wrong = launch(t, program, agentWords(dataDir, { words: ['-store-accept-revision=0'] }))
  t.equal(await wrong.ended, 1, 'another revision is not accepted')
  const accepted = await startDaemon(t, { dataDir, words: [wayOut] })
  t.equal((await accepted.ask('GET', '/v1/kv/a?raw')).text, 'old')
  await accepted.stop()
  const later = await startDaemon(t, { dataDir })
  t.equal((await later.ask('GET', '/v1/kv/a?raw')).text, 'old', 'once is enough')
})

t.test('SIGTERM answers who waits and leaves nothing behind', async t => {
  const daemon = await startDaemon(t)
  await daemon.ask('PUT', '/v1/kv/a', 'x')
  const { headers } = await daemon.ask('GET', '/v1/kv/a')
  const index = headers['x-consul-index']
  const waiting = daemon.ask('GET', `/v1/kv/a?index=${index}&wait=10m`)
  await until('the query waits', () => openConnections(daemon.httpPort) >= 1)
  // Answered in the order of their connections: once this one is, the other one was read.
  await daemon.ask('GET', '/v1/status/leader')
  t.equal(await daemon.stop(), 0)
  const answer = await waiting
  t.match(answer, { status: 200, headers: { 'x-consul-index': index } })
  t.same(childrenOf(daemon.pid), [])
  t.match(daemon.stderr(), /stopped/)
})

t.test('3,000 idle blocking queries end with the daemon, answered', async t => {
  const words = ['-hcl=limits { http_max_conns_per_client = 4000 }']
  const daemon = await startDaemon(t, { words })
  await daemon.ask('PUT', '/v1/kv/a', 'x')
  const { headers } = await daemon.ask('GET', '/v1/kv/a')
  const waiters = 3_000
  const url = `/v1/kv/a?index=${headers['x-consul-index']}&wait=10m`
  const waiting = Array.from({ length: waiters }, () => daemon.ask('GET', url))
  await until('all wait', () => openConnections(daemon.httpPort) >= waiters)
  const other = await daemon.ask('GET', '/v1/status/leader')
  t.equal(other.status, 200, 'others are served meanwhile')
  const code = await Promise.race([daemon.stop(), once(AbortSignal.timeout(30_000), 'abort')])
  t.equal(code, 0)
  const statuses = new Set((await Promise.all(waiting)).map(({ status }) => status))
  t.same([...statuses], [200])
})

t.test('a second signal ends a daemon that drains', async t => {
  const daemon = await startDaemon(t)
  const half = connect(daemon.httpPort, '127.0.0.1')
  half.on('error', () => {})
  t.teardown(() => half.destroy())
  half.write('PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
  await until('it is read', () => openConnections(daemon.httpPort) >= 1)
  daemon.signal('SIGTERM')
  await until('it stops', () => daemon.stderr().includes('a second signal ends the process'))
  // Signals that come close together count as one: npm hands on what the terminal sent already.
  const ended = until(
    'the second counts',
    async () => {
      daemon.signal('SIGTERM')
      return !daemon.isRunning()
    },
    10_000,
  )
  t.equal(await ended, true)
  t.equal(await daemon.ended, 1)
})

t.test('a second daemon on the same folder names the first', async t => {
  const first = await startDaemon(t)
  const second = launch(t, program, agentWords(first.dataDir))
  t.equal(await second.ended, 1)
  t.match(second.stderr(), new RegExp(`\\b${first.pid}\\b`))
  t.notMatch(second.stdout(), /Ready/)
  t.equal((await first.ask('PUT', '/v1/kv/a', 'x')).text, 'true', 'which is not disturbed')
})

t.test('a busy port names its holder and the way out, which works', async t => {
  const [http, dns] = [await freePort(), await freePort()]
  const first = await startDaemon(t, { words: [`-http-port=${http}`, `-dns-port=${dns}`] })
  const dataDir = tempFolder(t)
  const words = agentWords(dataDir, { words: [`-http-port=${http}`, `-dns-port=${dns}`] })
  const second = launch(t, program, words)
  t.equal(await second.ended, 1)
  t.match(second.stderr(), new RegExp(`port ${http} \\(tcp\\) is busy: .*process ${first.pid} `))
  const [, advised = ''] = /gatehouse agent (-port-offset=\d+)/.exec(second.stderr()) ?? []
  t.equal(advised, '-port-offset=10000')
  const third = launch(t, program, [...words, advised])
  await until('it runs beside', () => third.stdout().includes('Ready.') || !third.isRunning())
  t.ok(third.isRunning(), third.stderr())
  t.equal(daemonOf(third, dataDir).httpPort, http + 10_000)
})

t.test('a busy DNS port is told apart by its protocol', async t => {
  // Not one of the system's own choice: another connection could take it for TCP meanwhile.
  const port = await freePort()
  const socket = createSocket('udp4').bind(port, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  const daemon = launch(t, program, agentWords(tempFolder(t), { words: [`-dns-port=${port}`] }))
  t.equal(await daemon.ended, 1)
  t.match(daemon.stderr(), new RegExp(`port ${port} \\(udp\\) is busy: .*process ${process.pid} `))
})

t.test('a wrong configuration is refused with its place', async t => {
  const daemon = launch(t, program, ['agent', '-hcl=nonsense = 1'])
  t.equal(await daemon.ended, 1)
  t.match(daemon.stderr(), /-hcl:1: unknown key "nonsense"/)
})

t.test('npm start runs the same program, and npm hands on the signal', async t => {
  const words = [
    'start',
    '--',
    `-data-dir=${tempFolder(t)}`,
    '-http-port=0',
    '-dns-port=0',
    '-server-port=0',
  ]
  const env = { npm_config_update_notifier: 'false' }
  const npm = launch(t, 'npm', words, { cwd: root, env, group: true })
  await until('Ready', () => npm.stdout().includes('\nReady.\n') || !npm.isRunning(), 60_000)
  const daemon = daemonOf(npm, '')
  t.equal((await daemon.ask('PUT', '/v1/kv/a', 'x')).text, 'true')
  npm.signal('SIGINT')
  await npm.ended
  const refused = daemon.ask('GET', '/v1/status/leader')
  await t.rejects(refused, { code: 'ECONNREFUSED' })
})

t.test('bin/gatehouse called through a link from elsewhere', async t => {
  const folder = t.testdir({ gatehouse: t.fixture('symlink', program) })
  const version = spawnSync(`${folder}/gatehouse`, ['version'], { cwd: '/', encoding: 'utf8' })
  t.match(version.stdout, /^gatehouse v\d/)
})

/** How many TCP connections to the port are established, as the kernel counts them. */
function openConnections(port: number): number {
  const ESTABLISHED = '01'
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n')
  return lines.filter(line => {
    const [, address, , state] = line.trim().split(/\s+/)
    return address === local && state === ESTABLISHED
  }).length
}

/** The processes whose parent is `pid`. */
function childrenOf(pid: number): string[] {
  return readdirSync('/proc').filter(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid
    } catch {
      return false
    }
  })
}
