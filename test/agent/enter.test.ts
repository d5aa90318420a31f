/** Entering a cluster: what is kept on the disk, and what is said of what is wrong with it. */
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type EnterConfig, type EnterWorld, enterCluster as enter } from '../../src/agent/enter.ts'
import { wallMs } from '../../src/base/brand.ts'
import { type Clock, systemClock, systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { NO_JOIN } from '../cluster/alone.ts'

const enterCluster = async (config: EnterConfig, world: EnterWorld) =>
  (await enter(config, world)).membership

const YEAR_MS = 365 * 86_400_000

const configOf = (t: Test, more: Partial<EnterConfig> = {}): EnterConfig => ({
  dataDir: join(t.testdir(), 'data'),
  nodeId: 'aaaaaaaa-0000-4000-8000-000000000001',
  nodeName: 'one',
  advertiseAddress: '127.0.0.1',
  bindAddress: '127.0.0.1',
  isServer: true,
  join: NO_JOIN,
  ports: {
    dns: -1,
    http: -1,
    https: -1,
    secrets: -1,
    grpc: -1,
    grpcTls: -1,
    server: 0,
    serfLan: -1,
    serfWan: -1,
  },
  ...more,
})

const world = (clock: Clock = systemClock) => ({ clock, random: systemRandom, log: silentLog })

const later = (byMs: number): Clock => ({
  ...systemClock,
  wall: () => wallMs(systemClock.wall() + byMs),
})

t.test('a cluster of one: made once, kept for this user alone', async t => {
  const config = configOf(t)
  const first = await enterCluster(config, world())
  const files = readdirSync(config.dataDir!)
  t.same(files.sort(), ['cluster.json', 'cluster.key', 'node-key.pem'])
  for (const file of files) t.equal(statSync(join(config.dataDir!, file)).mode & 0o777, 0o600, file)
  t.notMatch(readFileSync(join(config.dataDir!, 'cluster.json'), 'utf8'), /PRIVATE/)
  const second = await enterCluster(config, world())
  t.equal(second.clusterId, first.clusterId)
  t.equal(second.material('agents').digest, first.material('agents').digest)
  const store = second.material('store').certificate()
  t.ok(store?.checkIP('127.0.0.1') && store.checkHost('localhost'))
  t.ok(store?.verify(new X509Certificate(second.roots[1]!.certificate).publicKey))
  t.not(store?.issuer, second.material('agents').certificate()?.issuer, 'a root of its own')
})

t.test('nothing is kept where nothing is kept', async t => {
  const config = configOf(t, { dataDir: undefined })
  const [one, two] = [await enterCluster(config, world()), await enterCluster(config, world())]
  t.not(one.clusterId, two.clusterId)
})

t.test('switched off for three years, a server starts without hands', async t => {
  const config = configOf(t)
  const before = await enterCluster(config, world())
  const after = await enterCluster(config, world(later(3 * YEAR_MS)))
  t.equal(after.clusterId, before.clusterId)
  const leaf = after.material('agents').certificate()
  t.ok((leaf?.validToDate.getTime() ?? 0) > systemClock.wall() + 3 * YEAR_MS)
  t.ok(limits.caRootMs > 10 * YEAR_MS, 'roots last')
  t.equal(after.roots[0]!.certificate, before.roots[0]!.certificate)
})

t.test('a leaf that is past half of its time, or names another address', async t => {
  const config = configOf(t)
  const digest = async (more: Partial<EnterConfig> = {}, clock: Clock = systemClock) =>
    (await enterCluster({ ...config, ...more }, world(clock))).material('store').digest
  const first = await digest()
  t.equal(await digest({}, later(limits.caLeafMs * 0.3)), first)
  t.not(await digest({}, later(limits.caLeafMs * 0.6)), first)
  t.not(await digest({ advertiseAddress: '10.1.2.3' }), first)
})

t.test('files that are gone or damaged', async t => {
  const damage: Record<string, (folder: string) => void> = {
    'cluster.key is gone': folder => rmSync(join(folder, 'cluster.key')),
    'holds no cluster key': folder => writeFileSync(join(folder, 'cluster.key'), 'no key'),
    'is another key than': folder =>
      writeFileSync(join(folder, 'cluster.key'), systemRandom.bytes(32).toString('hex')),
    'cluster.json is damaged': folder => writeFileSync(join(folder, 'cluster.json'), '{'),
    'holds no private key': folder => writeFileSync(join(folder, 'node-key.pem'), 'secret'),
  }
  for (const [text, hurt] of Object.entries(damage)) {
    const config = configOf(t, { dataDir: join(t.testdir({ [text]: {} }), text, 'data') })
    await enterCluster(config, world())
    hurt(config.dataDir!)
    const entering = enterCluster(config, world())
    await t.rejects(entering, { name: 'OperatingError', message: new RegExp(text) }, text)
    await t.rejects(entering, { message: /^(?!.*secret)/ })
  }
})

t.test('a folder of another node', async t => {
  const config = configOf(t)
  await enterCluster(config, world())
  const nodeId = 'bbbbbbbb-0000-4000-8000-000000000002'
  await t.rejects(enterCluster({ ...config, nodeId }, world()), /membership of the node aaaaaaaa/)
})
