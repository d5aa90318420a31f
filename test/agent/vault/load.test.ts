/**
 * A server's configuration in Vault's form: what its keys come to in ours, and what is refused.
 */
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Config, ConfigResult } from '../../../src/agent/config.ts'
import { vaultLater, vaultServed } from '../../../src/agent/vault/keys.ts'
import { loadServerConfig } from '../../../src/agent/vault/load.ts'
import { readVault } from '../../../src/agent/vault/read.ts'
import { type DevStart, translate } from '../../../src/agent/vault/translate.ts'
import { propertyRuns } from '../../run/budget.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }

interface Given {
  readonly dev?: DevStart
  readonly environment?: Record<string, string>
}

function load(t: Test, text: string, { dev, environment = {} }: Given = {}): Promise<ConfigResult> {
  const folder = t.testdir({ 'server.hcl': text })
  const paths = text === '' ? [] : [join(folder, 'server.hcl')]
  return loadServerConfig({ paths, dev, flags: [], environment }, surroundings)
}

async function configOf(t: Test, text: string, given: Given = {}): Promise<Config> {
  const result = await load(t, text, given)
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return result.config
}

async function problemsOf(t: Test, text: string, given: Given = {}): Promise<string> {
  const result = await load(t, text, given)
  const problems = 'problems' in result ? result.problems : ['accepted']
  return problems.map(each => each.replace(/^\S*server\.hcl/, 'server.hcl')).join('\n')
}

const CLEAR = 'listener "tcp" { tls_disable = 1 }'
const STORE = 'storage "inmem" {}'
const DEV: DevStart = { rootToken: undefined, listenAddress: undefined }

t.test('-dev needs no file', async t => {
  const config = await configOf(t, '', { dev: DEV })
  t.match(config, {
    isDev: true,
    store: { engine: 'memory' },
    addresses: { secrets: ['127.0.0.1'], http: [], dns: [] },
    ports: { secrets: 8200, http: -1, https: -1, dns: -1, server: -1 },
    secrets: { initialisesItself: true, tellsKey: true, rootToken: undefined },
  })
  const chosen = { rootToken: 'root', listenAddress: '0.0.0.0:18200' }
  t.match(await configOf(t, '', { dev: chosen }), {
    addresses: { secrets: ['0.0.0.0'] },
    ports: { secrets: 18_200 },
    secrets: { rootToken: 'root' },
  })
  const dotted = { rootToken: 'a.b', listenAddress: undefined }
  t.match(await problemsOf(t, '', { dev: dotted }), /must hold neither dots nor spaces/)
  t.match(
    await problemsOf(t, '', { dev: { rootToken: undefined, listenAddress: 'nowhere' } }),
    /-dev-listen-address: address: must be host:port/,
  )
})

t.test('what a file says comes to our own keys', async t => {
  const config = await configOf(
    t,
    `storage "raft" { path = "data/vault" node_id = "n1" performance_multiplier = 1 }
     listener "tcp" { address = "0.0.0.0:8210" tls_disable = "true" http_idle_timeout = "1m" }
     listener "tcp" { address = "[::1]:8210" tls_disable = "true" http_idle_timeout = "1m" }
     api_addr = "http://10.0.0.1:8210"
     cluster_addr = "https://10.0.0.1:8211"
     cluster_name = "vault-1"
     ui = true
     disable_mlock = true
     default_lease_ttl = "24h"
     max_lease_ttl = 172800
     log_level = "Notice"
     log_format = "json"
     pid_file = "vault.pid"
     user_lockout "userpass" { lockout_threshold = "3" lockout_duration = "1m" }
     telemetry { statsd_address = "127.0.0.1:8125" disable_hostname = true }
     seal "static" { current_key_id = "k1" current_key = "env://KEY" }`,
  )
  const DAY_MS = 86_400_000
  t.match(config, {
    isDev: false,
    dataDir: '/w/data/vault',
    store: { engine: 'level' },
    addresses: { secrets: ['0.0.0.0', '::1'] },
    ports: { secrets: 8210 },
    http: { idleTimeoutMs: 60_000 },
    secrets: {
      initialisesItself: false,
      apiAddress: 'http://10.0.0.1:8210',
      clusterName: 'vault-1',
      leases: { defaultMs: DAY_MS, maxMs: 2 * DAY_MS, loginMs: DAY_MS },
    },
    lockout: { userpass: { thresholdCount: 3, durationMs: 60_000 } },
    log: { level: 'info', json: true },
    pidFile: '/w/vault.pid',
    telemetry: { prefix: 'vault', prometheusRetentionMs: DAY_MS, hostName: undefined },
    seal: { current: { type: 'static', values: { current_key_id: 'k1' } } },
  })
})

t.test('the older name of the storage, JSON, and later files over earlier ones', async t => {
  const folder = t.testdir({
    '1.json': JSON.stringify({
      backend: { file: { path: '/srv/one' } },
      listener: [{ tcp: { address: '127.0.0.1:8300', tls_disable: true } }],
      log_level: 'debug',
    }),
    '2.hcl': 'storage "file" { path = "/srv/two" } log_level = "warn"',
    'notes.txt': 'not read',
  })
  const sources = { paths: [folder], dev: undefined, flags: [], environment: {} }
  const result = await loadServerConfig(sources, surroundings)
  t.match(result, {
    config: { dataDir: '/srv/two', log: { level: 'warn' }, ports: { secrets: 8300 } },
  })
})

t.test('variables stand where files say nothing', async t => {
  const environment = {
    VAULT_API_ADDR: 'http://v:1',
    BAO_API_ADDR: 'http://b:1',
    VAULT_LOG_LEVEL: 'debug',
    VAULT_RAFT_PATH: '/srv/raft',
  }
  const text = `storage "raft" { path = "/elsewhere" } ${CLEAR} api_addr = "http://file:1"`
  t.match(await configOf(t, text, { environment }), {
    dataDir: '/srv/raft',
    log: { level: 'debug' },
    secrets: { apiAddress: 'http://b:1' },
  })
})

t.test('what is not served stops the start, with its place', async t => {
  const cases: [string, string][] = [
    ['storage "consul" { address = "x" }', 'server.hcl:1: not served yet: storage "consul"'],
    ['storage "floppy" {}', 'server.hcl:1: unknown storage "floppy"'],
    [
      'storage "raft" { path = "/d" retry_join { leader_api_addr = "http://a" } }',
      'server.hcl:1: not served yet: storage.raft.retry_join (more servers by this file)',
    ],
    [`${STORE} raw_storage_endpoint = true`, 'not served yet: raw_storage_endpoint'],
    [`${STORE} raw_storage_endpoint = "false"`, 'accepted'],
    [`${STORE} service_registration "kubernetes" {}`, 'not served yet: service_registration'],
    [`${STORE} clustername = "x"`, 'unknown key "clustername"; did you mean "cluster_name"?'],
    [`${STORE} default_lease_ttl = "soon"`, 'default_lease_ttl: must be a duration'],
    [`${STORE} api_addr = "10.0.0.1"`, 'api_addr: must be a URL'],
    [`${STORE} seal "awskms" {}`, 'not served yet: awskms'],
    ['storage "file" {}', 'storage.file.path: is missing'],
    ['', 'accepted'],
  ]
  for (const [text, expected] of cases) {
    t.match(await problemsOf(t, `${text === '' ? STORE : text} ${CLEAR}`), expected, text)
  }
  const listeners: [string, string][] = [
    ['', 'a listener is missing'],
    ['listener "unix" { address = "/s" }', 'not served yet: listener "unix"'],
    ['listener "tcp" {}', 'listener.tcp.tls_cert_file: is missing'],
    ['listener "tcp" { address = "vault.example:1" tls_disable = 1 }', 'must be host:port'],
    [`${CLEAR} listener "tcp" { address = "127.0.0.1:1" tls_disable = 1 }`, 'of several ports'],
    [
      `${CLEAR} listener "tcp" { address = "[::1]:8200" tls_cert_file = "c" tls_key_file = "k" }`,
      'differ in more than their host',
    ],
    ['listener "tcp" { tls_disable = 1 redact_version = true }', 'listener.tcp.redact_version'],
    ['listener "tcp" { tls_disable = 1 redact_version = false }', 'accepted'],
    [
      'listener "tcp" { tls_disable = 1 profiling { unauthenticated_pprof_access = true } }',
      'not served yet: listener.tcp.profiling.unauthenticated_pprof_access',
    ],
    ['listener "tcp" { tls_cert_file = "/none.pem" tls_key_file = "/k.pem" }', '/none.pem'],
  ]
  for (const [text, expected] of listeners) {
    t.match(await problemsOf(t, `${STORE} ${text}`), expected, text)
  }
  t.match(await problemsOf(t, CLEAR), 'a storage stanza is missing')
  const missing = { paths: ['/none.hcl'], dev: undefined, flags: [], environment: {} }
  t.match(await loadServerConfig(missing, surroundings), { problems: [/-config: /] })
})

t.test('what is taken and not done is told', async t => {
  const result = await load(t, `${STORE} ${CLEAR} disable_mlock = true ui = true`)
  const warnings = 'warnings' in result ? result.warnings.join('\n') : ''
  t.match(warnings, 'disable_mlock: taken, and means nothing here')
  t.match(warnings, 'ui: taken; the web interface is not served yet')
})

t.test('every key has one meaning', async t => {
  const both = Object.keys(vaultServed).filter(path => Object.hasOwn(vaultLater, path))
  t.same(both, [])
})

t.test('no text makes it throw, and no problem quotes a value', async () => {
  const SECRET = 'canary-value'
  const paths = [...Object.keys(vaultServed), ...Object.keys(vaultLater)]
  const value = fc.oneof(
    fc.constant(SECRET),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.constant(SECRET), { maxLength: 2 }),
    fc.constant({ a: SECRET }),
  )
  const entry = fc.tuple(fc.constantFrom(...paths, 'other', '__proto__.x'), value)
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), entries => {
      const top: Record<string, unknown> = {}
      for (const [path, each] of entries) {
        const names = path.split('.')
        const last = names.pop()!
        let at = top
        for (const name of names) {
          const below = Object.hasOwn(at, name) ? at[name] : undefined
          const next = typeof below === 'object' && below !== null ? below : {}
          Object.defineProperty(at, name, { value: next, enumerable: true, configurable: true })
          at = next as Record<string, unknown>
        }
        Object.defineProperty(at, last, { value: each, enumerable: true, configurable: true })
      }
      const text = { name: 'x', text: JSON.stringify(top), format: 'json' } as const
      const { problems } = translate(readVault([text]), {}, undefined)
      return !problems.join('\n').includes(SECRET)
    }),
    { numRuns: propertyRuns() },
  )
})
