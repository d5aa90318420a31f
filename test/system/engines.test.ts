/**
 * The whole program on each engine, driven by its own command line; what is durable outlives a
 * kill -9 in each.
 */
import t, { type Test } from 'tap'
import { type Daemon, type DaemonOptions, program, startDaemon } from '../clients/daemon.ts'
import { launch, tempFolder } from '../clients/process.ts'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'

t.test('memory', async t => {
  const daemon = await startDaemon(t, { engine: 'memory' })
  await driveByVerbs(t, daemon)
  t.equal(await daemon.stop(), 0)
})

t.test('level', t => driveTwice(t, { dataDir: tempFolder(t) }))

t.test('etcd', { skip: absent('etcd') }, async t => {
  const { endpoint } = await startEtcd(t)
  const words = [`-hcl=store { etcd { endpoints = ["${endpoint}"] } }`]
  await driveTwice(t, { engine: 'etcd', dataDir: tempFolder(t), words })
})

async function driveTwice(t: Test, options: DaemonOptions): Promise<void> {
  const first = await startDaemon(t, options)
  await driveByVerbs(t, first)
  await first.kill()
  const second = await startDaemon(t, options)
  t.equal(await verb(t, second, 'kv', 'get', 'app/name'), 'gatehouse\n')
  t.equal(await verb(t, second, 'catalog', 'services'), 'consul\nweb\n')
  t.equal(await second.stop(), 0)
}

async function driveByVerbs(t: Test, daemon: Daemon): Promise<void> {
  const call = (...words: string[]) => verb(t, daemon, ...words)
  t.match(await call('members'), /^Node +Address +Status +Type .*\n.+ alive +server /)
  t.match(await call('kv', 'put', 'app/name', 'gatehouse'), 'Success! Data written to: app/name')
  t.equal(await call('kv', 'get', 'app/name'), 'gatehouse\n')
  t.equal(await call('kv', 'get', '-keys', ''), 'app/\n')
  t.match(await call('services', 'register', '-name=web', '-port=80'), 'Registered service: web')
  t.equal(await call('catalog', 'services'), 'consul\nweb\n')
  t.match(await call('catalog', 'nodes', '-service=web'), /127\.0\.0\.1/)
  const exported = await call('kv', 'export', 'app/')
  t.same(JSON.parse(exported), [{ key: 'app/name', flags: 0, value: btoa('gatehouse') }])
  t.match(await call('kv', 'delete', 'app/name'), 'Success! Deleted key: app/name')
  t.equal(await call('kv', 'import', exported), 'Imported: app/name\n')
}

async function verb(t: Test, daemon: Daemon, ...words: string[]): Promise<string> {
  const env = { CONSUL_HTTP_ADDR: `127.0.0.1:${daemon.httpPort}` }
  const called = launch(t, program, words, { env })
  t.equal(await called.ended, 0, `${words.join(' ')}: ${called.stderr()}`)
  return called.stdout()
}
