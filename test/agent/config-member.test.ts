/** A server's own member, archives by themselves, and how servers are looked after. */
import t from 'tap'
import { type ConfigResult, resolveConfig } from '../../src/agent/config.ts'
import { engineOf } from '../../src/agent/config-member.ts'
import { Settings } from '../../src/agent/config-read.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }

function resolve(text: string): ConfigResult {
  const texts = [{ name: 'a.hcl', text, format: 'hcl' as const }]
  return resolveConfig({ texts, flags: [], isDev: false }, surroundings)
}

function configOf(text: string) {
  const result = resolve(text)
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return result.config
}

const problemsOf = (text: string): string => {
  const result = resolve(text)
  return 'problems' in result ? result.problems.join('\n') : ''
}

function engine(text: string, isDev = false): string {
  const settings = new Settings()
  settings.readText({ name: 'a.hcl', text, format: 'hcl' })
  const { engine: name, isManaged } = engineOf(settings, isDev)
  return `${name}${isManaged ? ' managed' : ''}`
}

t.test('a member is run when it is asked for, or when several servers found a cluster', async t => {
  t.equal(engine(''), 'level')
  t.equal(engine('', true), 'memory')
  t.equal(engine('bootstrap_expect = 3'), 'etcd managed')
  t.equal(engine('store { managed = true }'), 'etcd managed')
  t.equal(engine('store { managed = true }', true), 'etcd managed')
  t.equal(engine('store { engine = "etcd" }'), 'etcd')
  t.equal(engine('store { engine = "etcd" managed = true }'), 'etcd managed')
  t.equal(engine('retry_join = ["10.0.0.1"] join_token_file = "t"'), 'etcd managed', 'it joins')
  t.equal(engine('retry_join = ["127.0.0.1"]'), 'level', 'nobody but itself')
  t.equal(engine('server = false retry_join = ["10.0.0.1"] join_token_file = "t"'), 'level')
  t.equal(engine('bootstrap_expect = 3 store { engine = "etcd" }'), 'etcd', "somebody else's")
  t.equal(engine('bootstrap_expect = 3 store { managed = false }'), 'level')
})

t.test('what does not go together is refused', async t => {
  t.match(problemsOf('store { engine = "level" managed = true }'), /goes with the engine etcd/)
  t.match(
    problemsOf('store { managed = true etcd { endpoints = ["http://a:1"] } }'),
    /goes without store.etcd.endpoints/,
  )
  t.match(problemsOf('store { member { peer_port = 1 client_port = 1 } }'), /are the same/)
  t.match(problemsOf('store { managed = true } ports { server = -1 }'), /ports.server/)
  t.match(problemsOf('port_offset = 65000'), /go beyond 65535/)
  t.match(problemsOf('store { member { snapshot_interval = "1s" } }'), /at least 10s/)
})

t.test('ports move with the offset, paths stand in the working folder', async t => {
  const text = 'port_offset = 10 store { member { program = "bin/etcd" quota_size_mb = 16 } }'
  t.match(configOf(text).store.member, {
    isManaged: false,
    program: '/w/bin/etcd',
    peerPort: 2390,
    clientPort: 2389,
    quotaSizeBytes: 16_777_216,
  })
})

t.test('archives are saved by themselves only where that is said', async t => {
  t.equal(configOf('').store.snapshots, undefined)
  t.same(
    configOf('data_dir = "/d" store { member { snapshot_interval = "1h" } }').store.snapshots,
    {
      folder: '/d/snapshots',
      intervalMs: 3_600_000,
      retain: 24,
    },
  )
  const text =
    'store { member { snapshot_interval = "1m" snapshot_dir = "s" snapshot_retain = 2 } }'
  t.same(configOf(text).store.snapshots, { folder: '/w/s', intervalMs: 60_000, retain: 2 })
  const nowhere = 'store { engine = "memory" member { snapshot_interval = "1m" } }'
  t.match(problemsOf(nowhere), /needs data_dir or snapshot_dir/)
})

t.test('how servers are looked after', async t => {
  t.match(configOf('').autopilot, { cleanupDeadServers: true, serverStabilizationTimeMs: 10_000 })
  const text =
    'autopilot { min_quorum = 3 last_contact_threshold = "1s" cleanup_dead_servers = false }'
  t.match(configOf(text).autopilot, {
    minQuorum: 3,
    lastContactThresholdMs: 1_000,
    cleanupDeadServers: false,
  })
})
