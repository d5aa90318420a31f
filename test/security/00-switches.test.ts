/**
 * Switches that make a server less safe: a closed list, which docs/threat-model.md has too, and
 * each is told at the start. And what a signal may not do: open a port to a debugger.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { resolveConfig } from '../../src/agent/config.ts'
import { insecureSwitches } from '../../src/agent/config-switches.ts'
import { program, root, startDaemon } from '../clients/daemon.ts'
import { propertyRuns } from '../run/budget.ts'

/** What the start says of this text; throws where it is refused. */
function warningsOf(text: string, isDev = false): readonly string[] {
  const given = resolveConfig(
    { texts: [{ name: 'a.hcl', text, format: 'hcl' }], flags: [], isDev },
    { hostName: 'here', interfaces: [], workingDir: '/tmp' },
  )
  if ('problems' in given) throw new Error(given.problems.join('\n'))
  return given.warnings
}

const SAFE = 'acl { enabled = true default_policy = "deny" }'

const TRANSIT =
  'seal "transit" { address = "https://10.0.0.1:8200" token = "t" key_name = "k" mount_path = "m" }'

/** For each switch a text that turns it, and one that nearly does. */
const TURNED: Readonly<Record<string, readonly [turned: string, near: string]>> = {
  acl: ['acl { default_policy = "deny" }', SAFE],
  'acl.tokens.initial_management': [
    `${SAFE} acl { tokens { initial_management = "password" } }`,
    `${SAFE} acl { tokens { initial_management = "ab1c2d3e-0000-4000-8000-000000000001" } }`,
  ],
  'acl.default_policy': ['acl { enabled = true default_policy = "allow" }', SAFE],
  'audit.enabled': [`${SAFE} audit { enabled = false }`, `${SAFE} audit { enabled = true }`],
  enable_script_checks: ['enable_script_checks = true', 'enable_local_script_checks = true'],
  enable_debug: ['enable_debug = true', 'enable_debug = false'],
  'check_targets.allow': [
    'check_targets { allow = ["169.254.0.0/16"] }',
    'check_targets { allow = ["10.0.0.0/8", "169.253.0.0/16"] }',
  ],
  'login_targets.allow': [
    'login_targets { allow = ["fd00:ec2::254"] }',
    'login_targets { allow = ["fd00:ec3::/32"] }',
  ],
  seal: [
    TRANSIT.replace('https', 'http'),
    `${TRANSIT.replace('https://10.0.0.1', 'http://localhost')}`,
  ],
  'secrets.disable_unauthed_rekey_endpoints': [
    'secrets { disable_unauthed_rekey_endpoints = false }',
    'secrets { disable_unauthed_rekey_endpoints = true }',
  ],
  'secrets.disable_unauthed_generate_root_endpoints': [
    'secrets { disable_unauthed_generate_root_endpoints = false }',
    'secrets { disable_unauthed_generate_root_endpoints = true }',
  ],
  'store.etcd.endpoints': [
    'store { engine = "etcd" etcd { endpoints = ["http://10.0.0.1:2379"] } }',
    'store { engine = "etcd" etcd { endpoints = ["http://[::1]:2379", "https://10.0.0.1:2379"] } }',
  ],
  'store.accept_revision': ['store { accept_revision = 7 }', 'store { accept_revision = -1 }'],
  'limits.http_max_conns_per_client': [
    'limits { http_max_conns_per_client = -1 }',
    'limits { http_max_conns_per_client = 1 }',
  ],
  disable_kv_key_validation: [
    'disable_kv_key_validation = true',
    'disable_kv_key_validation = false',
  ],
  disable_http_unprintable_char_filter: [
    'disable_http_unprintable_char_filter = true',
    'disable_http_unprintable_char_filter = false',
  ],
}

const tells = (warnings: readonly string[], key: string): boolean =>
  warnings.some(line => line === key || line.startsWith(`${key} `) || line.startsWith(`${key}:`))

t.test('each switch is told when it is turned, and not when it nearly is', async t => {
  t.strictSame(
    Object.keys(TURNED),
    insecureSwitches.map(({ key }) => key),
    'the list is closed',
  )
  for (const [key, [turned, near]] of Object.entries(TURNED)) {
    t.ok(tells(warningsOf(turned), key), turned)
    t.strictSame(warningsOf(near), [], near)
  }
  t.strictSame(warningsOf(''), [], 'by itself it has nothing to tell')
})

t.test('the page has the same list', async t => {
  const page = readFileSync(join(root, 'docs/threat-model.md'), 'utf8')
  const [, table = ''] = /## Switches that give something up\n([\s\S]*?)\n## /.exec(page) ?? []
  const keys = [...table.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, key]) => key)
  t.strictSame(
    keys,
    insecureSwitches.map(({ key }) => key),
  )
})

t.test('generated: any of them together are all told', async () => {
  const independent = Object.keys(TURNED).filter(key => !/^(acl|audit|store)/.test(key))
  fc.assert(
    fc.property(fc.subarray(independent), keys => {
      const warnings = warningsOf(keys.map(key => TURNED[key]![0]).join('\n'))
      return independent.every(key => tells(warnings, key) === keys.includes(key))
    }),
    { numRuns: propertyRuns() },
  )
})

/** The inodes of sockets that a process holds, and those that listen anywhere. */
function listening(pid: number): number {
  const held = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        return []
      }
    }),
  )
  const LISTEN = '0A'
  return ['tcp', 'tcp6']
    .flatMap(name => readFileSync(`/proc/net/${name}`, 'latin1').trim().split('\n').slice(1))
    .map(line => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === LISTEN && held.has(inode!)).length
}

t.test('attack: SIGUSR1 opens no port, and ends nothing', async t => {
  const daemon = await startDaemon(t, { engine: 'memory' })
  const before = listening(daemon.pid)
  t.ok(before >= 2, `${before} listeners`)
  for (let i = 0; i < 3; i++) {
    daemon.signal('SIGUSR1')
    // What is answered after it was sent was done after it came.
    t.equal((await daemon.ask('GET', '/v1/status/leader')).status, 200)
  }
  t.equal(listening(daemon.pid), before)
  t.notMatch(daemon.stderr(), /Debugger listening/)
  const launcher = readFileSync(program, 'utf8')
  for (const flag of ['--disable-sigusr1', '--disable-proto=throw']) t.match(launcher, flag)
  t.notMatch(launcher, '--inspect')
  t.equal(await daemon.stop(), 0)
})

t.test('the unit keeps memory out of dumps and swap, and gives nothing up', async t => {
  const unit = readFileSync(join(root, 'config/gatehouse.service'), 'utf8')
  for (const line of [
    ...['LimitCORE=0', 'MemorySwapMax=0', 'NoNewPrivileges=yes', 'CapabilityBoundingSet='],
    ...['ProtectSystem=strict', 'ProtectHome=yes', 'PrivateTmp=yes', 'PrivateDevices=yes'],
    ...['UMask=0077', 'StateDirectoryMode=0700', 'SystemCallFilter=@system-service'],
    ...['RestrictNamespaces=yes', 'RestrictSUIDSGID=yes', 'LockPersonality=yes'],
    ...['ProtectProc=invisible', 'KeyringMode=private'],
  ]) {
    t.ok(unit.split('\n').includes(line), line)
  }
})
