/**
 * Reading the configuration from disk, the node's id, and the files that ship with us.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Config, ConfigResult } from '../../src/agent/config.ts'
import { loadConfig, settleNodeId } from '../../src/agent/config-load.ts'
import type { ConfigFlag } from '../../src/agent/config-read.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }
const load = (...flags: [string, string | boolean][]): Promise<ConfigResult> =>
  loadConfig(
    flags.map(([name, value]) => ({ name, value })),
    surroundings,
  )

async function configOf(result: Promise<ConfigResult>): Promise<Config> {
  const loaded = await result
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  return loaded.config
}

async function problemsOf(result: Promise<ConfigResult>): Promise<string> {
  const loaded = await result
  return 'problems' in loaded ? loaded.problems.join('\n') : 'accepted'
}

t.test('files and folders in the order given, a folder by name, flags last', async t => {
  const folder = t.testdir({
    dir: {
      'b.hcl': 'datacenter = "b" node_name = "b"',
      'a.json': '{"datacenter": "a", "domain": "a"}',
      'c.txt': 'this is not read',
      'd.hcl': {},
    },
    'one.hcl': 'datacenter = "one" domain = "one" alt_domain = "one"',
    'two.conf': '{"log_level": "debug"}',
  })
  const config = await configOf(
    load(
      ['config-file', join(folder, 'one.hcl')],
      ['config-dir', join(folder, 'dir')],
      ['config-file', join(folder, 'two.conf')],
      ['hcl', 'log_level = "warn"'],
      ['node', 'flag'],
    ),
  )
  t.match(config, {
    datacenter: 'b',
    domain: 'a',
    altDomain: 'one',
    nodeName: 'flag',
    log: { level: 'warn' },
  })
  t.equal((await configOf(load(['config-file', join(folder, 'dir')]))).datacenter, 'b')
})

t.test('-config-format rules over names', async t => {
  const folder = t.testdir({ 'a.hcl': '{"datacenter": "a"}' })
  const file: [string, string] = ['config-file', join(folder, 'a.hcl')]
  t.match(await problemsOf(load(file)), 'line 1, column 1')
  t.equal((await configOf(load(file, ['config-format', 'json']))).datacenter, 'a')
  t.match(await problemsOf(load(['config-format', 'yaml'])), 'must be hcl or json')
})

t.test('files that cannot be read, are too large or too many', async t => {
  const folder = t.testdir({ many: {} })
  t.match(await problemsOf(load(['config-file', join(folder, 'x')])), /-config-file: ENOENT/)
  t.match(await problemsOf(load(['config-dir', join(folder, 'x')])), /-config-dir: ENOENT/)
  await writeFile(join(folder, 'large.hcl'), Buffer.alloc(limits.hclTextChars * 4 + 1, '#'))
  t.match(await problemsOf(load(['config-file', join(folder, 'large.hcl')])), 'too large')
  for (let i = 0; i <= limits.configFiles; i++)
    await writeFile(join(folder, 'many', `${i}.hcl`), '')
  t.match(await problemsOf(load(['config-dir', join(folder, 'many')])), 'more than 1000 files')
})

t.test('an id that follows from the machine, where that is wanted', async t => {
  const folder = t.testdir({
    bad: 'no id\n',
    machine: 'B08DFA6083E7567A1921A715000001FB\n',
  })
  const files = [join(folder, 'missing'), join(folder, 'bad'), join(folder, 'machine')]
  const config = await configOf(load(['disable-host-node-id', false], ['dev', true]))
  const settled = await settleNodeId(config, systemRandom, files)
  const machine = 'b08dfa6083e7567a1921a715000001fb'
  const hash = createHash('sha512').update(machine).digest('hex')
  t.equal(settled.nodeId.replaceAll('-', ''), hash.slice(0, 32))
  t.match(settled.nodeId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  const own = await configOf(load(['disable-host-node-id', false], ['node-id', settled.nodeId]))
  t.equal((await settleNodeId(own, systemRandom, files)).nodeId, settled.nodeId)
  const nobody = await settleNodeId(config, systemRandom, files.slice(0, 2))
  t.not(nobody.nodeId, settled.nodeId, 'chance, where the machine has none')
})

t.test('the machine itself is asked where nothing is told', async t => {
  const loaded = await loadConfig([])
  t.ok('config' in loaded && loaded.config.nodeName.length > 0)
  t.equal('config' in loaded && loaded.config.dataDir, join(process.cwd(), 'data'))
})

t.test('the node id is made once and kept', async t => {
  const folder = t.testdir({})
  const dataDir = join(folder, 'data')
  const config = await configOf(load(['data-dir', dataDir]))
  let made = 0
  const random = {
    uuid: () => `00000000-0000-4000-8000-00000000000${++made}`,
    fraction: () => 0,
    bytes: (sizeBytes: number) => Buffer.alloc(sizeBytes),
  }
  const first = await settleNodeId(config, random)
  t.equal(first.nodeId, '00000000-0000-4000-8000-000000000001')
  t.equal((await settleNodeId(config, random)).nodeId, first.nodeId)
  t.equal(made, 1)
  t.equal((await stat(join(dataDir, 'node-id'))).mode & 0o777, 0o600)
  t.equal((await stat(dataDir)).mode & 0o777, 0o700)
  t.ok(Object.isFrozen(first))

  await writeFile(join(dataDir, 'node-id'), 'nonsense')
  await t.rejects(settleNodeId(config, random), { code: 'damaged' })

  const stated = await configOf(load(['node-id', '0000000A-0000-4000-8000-000000000009']))
  t.equal((await settleNodeId(stated, random)).nodeId, '0000000a-0000-4000-8000-000000000009')
  const dev = await configOf(load(['dev', true]))
  t.equal((await settleNodeId(dev, random)).nodeId, '00000000-0000-4000-8000-000000000002')
  if (process.getuid?.() === 0) return
  await chmod(dataDir, 0o500)
  await t.rejects(settleNodeId({ ...config, dataDir: join(dataDir, 'x') }, random))
})

t.test('the files that ship with us are valid', async t => {
  const folder = new URL('../../config/', import.meta.url).pathname
  const names = (await readdir(folder)).filter(name => name.endsWith('.hcl'))
  t.same(names.sort(), ['consul-server.hcl', 'container.hcl', 'dev.hcl', 'server.hcl'])
  t.match(await configOf(load(['config-file', join(folder, 'dev.hcl')])), {
    store: { engine: 'memory' },
    dataDir: undefined,
  })
  t.match(await configOf(load(['config-file', join(folder, 'server.hcl')])), {
    store: { engine: 'level' },
    dataDir: '/var/lib/gatehouse',
    dns: { nodeTtlMs: 5000, serviceTtlMs: { '*': 2000 } },
  })
})

const onNetwork = {
  ...surroundings,
  interfaces: [
    { name: 'eth0', address: '10.0.0.7', prefixBits: 24, isLoopback: false, isDefault: true },
  ],
}

async function loadedFor(
  flags: readonly ConfigFlag[],
): Promise<{ config: Config; warnings: readonly string[] }> {
  const loaded = await loadConfig(flags, onNetwork)
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  return loaded
}

t.test('a server’s file for Consul starts unchanged, and says what means nothing', async t => {
  const file = new URL('../../config/consul-server.hcl', import.meta.url).pathname
  const { config, warnings } = await loadedFor([{ name: 'config-file', value: file }])
  t.match(config, {
    nodeName: 'server-1',
    advertiseAddress: '10.0.0.7',
    addresses: { http: ['127.0.0.1', 'unix:///run/consul/http.sock'] },
    unixSockets: { modeBits: 0o770 },
    http: { rates: { mode: 'permissive' }, connectionsPerClient: 1_000 },
  })
  t.equal(config.services.length, 1)
  t.equal(config.watches.length, 2)
  const told = warnings.map(line => /\.hcl:\d+: ([\w.]+): taken/.exec(line)?.[1])
  t.same(told.filter(Boolean).sort(), [...TOLD_OF_ALL])
})

const TOLD_OF_ALL = [
  'connect.enabled',
  'disable_update_check',
  'encrypt',
  'performance.raft_multiplier',
  'raft_protocol',
  'rejoin_after_leave',
  'ui_config.enabled',
]

t.test('in a container, as Consul’s image is told to start', async t => {
  const file = new URL('../../config/container.hcl', import.meta.url).pathname
  const { config, warnings } = await loadedFor([{ name: 'config-file', value: file }])
  t.match(config, { addresses: { http: ['0.0.0.0'] }, advertiseAddress: '10.0.0.7' })
  t.match(warnings, [/can be reached by others, who have all rights/])
  const flags = ['server', 'ui', 'node=server-1', 'bootstrap-expect=1', 'client=0.0.0.0']
  const image = flags.map((flag): ConfigFlag => {
    const [name = '', value] = flag.split('=')
    return { name, value: value ?? true }
  })
  t.match(await problemsOf(loadConfig(image, onNetwork)), 'needs both of these stated')
  const stated = { name: 'hcl', value: 'acl { enabled = false } tls { https {} }' }
  t.match((await loadedFor([...image, stated])).config, { nodeName: 'server-1' })
  const dev = ['dev=true', 'bind=0.0.0.0', 'client=0.0.0.0', 'log-level=INFO'].map(flag => {
    const [name = '', value = ''] = flag.split('=')
    return { name, value: value === 'true' ? true : value }
  })
  t.match((await loadedFor(dev)).config, { isDev: true, advertiseAddress: '10.0.0.7' })
})

t.test('the systemd unit keeps secrets out of dumps and swap', async t => {
  const unit = await readFile(new URL('../../config/gatehouse.service', import.meta.url), 'utf8')
  for (const line of ['LimitCORE=0', 'MemorySwapMax=0', 'NoNewPrivileges=yes', 'UMask=0077']) {
    t.match(unit, `\n${line}\n`)
  }
  t.match(unit, /\nExecStart=\S+\/bin\/gatehouse agent -config-dir=/)
  const launcher = await readFile(new URL('../../bin/gatehouse', import.meta.url), 'utf8')
  t.match(launcher, /--disable-sigusr1 .*--disable-proto=throw/)
})

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0
const noSystemd = { skip: hasSystemd ? false : 'systemd-analyze is not here' }

t.test('systemd finds nothing wrong with the unit, and little to attack', noSystemd, async t => {
  const shipped = await readFile(new URL('../../config/gatehouse.service', import.meta.url), 'utf8')
  const folder = t.testdir({
    // The program stands elsewhere here.
    'gatehouse.service': shipped.replace(/(?<=^ExecStart=)\S+/m, process.execPath),
  })
  const unit = join(folder, 'gatehouse.service')
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
  t.equal(verified.stderr, '')
  t.equal(verified.status, 0)
  // Ten is the worst that it gives, in tenths here; what remains is the network, and V8's compiler.
  const words = ['security', '--offline=true', '--threshold=25', unit]
  const judged = spawnSync('systemd-analyze', words, { encoding: 'utf8' })
  t.equal(judged.status, 0, judged.stdout)
})

t.test('folders stay untouched by loading', async t => {
  const folder = t.testdir({})
  await mkdir(join(folder, 'sub'))
  await configOf(load(['data-dir', join(folder, 'sub', 'data')]))
  t.same(await readdir(join(folder, 'sub')), [])
})
