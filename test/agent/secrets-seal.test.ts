/** Seals as they are configured: keys and tokens from files, the environment, and other servers. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SealBlock } from '../../src/agent/config-seal.ts'
import { openSeal, sealPeerService, sealPeers } from '../../src/agent/secrets-seal.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { handOver } from '../../src/rpc/seal.ts'
import type { Store } from '../../src/store/store.ts'
import { put } from '../../src/store/store.ts'
import { aliveServers, ServerState, servers } from '../../src/store/tables/server.ts'
import { tempFolder } from '../clients/process.ts'
import { FakeTransit } from '../fake/transit.ts'
import { viewOf } from '../registry/rules.ts'

const quiet = () => {}
const log = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet }
const world = (environment: Record<string, string> = {}) => ({
  ...{ clock: systemClock, random: systemRandom, metrics: new Metrics(systemClock), environment },
  log: log as never,
})

const staticBlock = (current_key: string): SealBlock => ({
  type: 'static',
  values: { current_key_id: 'one', current_key },
})

t.test('a static key in every form, from every place', async t => {
  const key = systemRandom.bytes(32)
  const folder = tempFolder(t)
  const file = (name: string, content: Buffer | string): string => {
    writeFileSync(join(folder, name), content)
    return `file://${join(folder, name)}`
  }
  const environment = { HEX: key.toString('hex'), URL: key.toString('base64url') }
  const places = [
    key.toString('hex'),
    key.toString('base64'),
    'env://HEX',
    'env://URL',
    file('raw', key),
    file('line', `${key.toString('base64')}\n`),
  ]
  const rootKey = systemRandom.bytes(32)
  const seals = await Promise.all(
    places.map(place => openSeal(staticBlock(place), world(environment))),
  )
  const sealed = await seals[0]!.wrap(rootKey)
  for (const [i, seal] of seals.entries()) {
    t.strictSame(await seal.unwrap(sealed), rootKey, `${i}`)
  }
})

t.test('a key that is none is told by its place', async t => {
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'short'), 'tooshort')
  const wrong = async (key: string): Promise<string> => {
    const opening = openSeal(staticBlock(key), world({ SHORT: 'tooshort' }))
    return opening.then(
      () => 'it opened',
      (error: Error) => error.message,
    )
  }
  t.match(await wrong('tooshort'), /key "one" of the static seal is not 32 bytes/)
  t.match(await wrong('env://SHORT'), /\(SHORT of the environment\) is not 32 bytes/)
  t.match(await wrong('env://NONE'), /is not in the environment as NONE/)
  t.match(await wrong('env://constructor'), /is not in the environment as constructor/)
  t.match(await wrong(`file://${folder}/short`), /short\) is not 32 bytes/)
  t.match(await wrong(`file://${folder}/none`), /is not there: .*none/)
  for (const place of ['tooshort', 'env://SHORT', `file://${folder}/short`]) {
    t.notMatch(await wrong(place), /tooshort/)
  }
})

t.test('a transit seal with its token from a file or the environment', async t => {
  const server = new FakeTransit()
  const address = await server.listen()
  t.teardown(() => server.close())
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'token'), `${server.token}\n`)
  const open = (token: string, more: Record<string, string> = {}) =>
    openSeal(
      {
        type: 'transit',
        values: {
          ...{ address, token, key_name: 'unseal', mount_path: '/transit/' },
          ...{ disable_renewal: 'true', ...more },
        },
      },
      world({ TOKEN: server.token }),
    )
  const rootKey = systemRandom.bytes(32)
  for (const token of [server.token, 'env://TOKEN', `file://${folder}/token`]) {
    const seal = await open(token)
    t.strictSame(await seal.unwrap(await seal.wrap(rootKey)), rootKey)
  }
  t.equal(server.asked[0]?.path, '/v1/transit/encrypt/unseal')
  await t.rejects(open('env://NONE'), { message: /token is not in the environment as NONE/ })
  await t.rejects(open(`file://${folder}/none`), { message: /none cannot be read \(ENOENT\)/ })
  await t.rejects(open('t', { tls_ca_cert: `${folder}/none` }), {
    message: /the seal's files: .*none/,
  })
})

t.test('servers that are there are asked, and those that left may not ask', async t => {
  const row = (name: string, state: ServerState) => ({
    ...{ nodeId: `id-${name}`, name, address: '10.0.0.1', version: '1', hasAcl: false, meta: {} },
    ...{ sinceMs: 1, level: 1, state, stateAtMs: 1 },
    ports: { server: 8300, serfLan: 8301, serfWan: 8302 },
  })
  const { in: isIn, left } = ServerState
  const view = viewOf(
    ...['me', 'dead', 'there'].map(name => put(servers, `id-${name}`, row(name, isIn))),
    ...['me', 'there'].map(name => put(aliveServers, `id-${name}`, { run: 'r' })),
    put(servers, 'id-gone', row('gone', left)),
  )
  const store = { view: () => view } as unknown as Store
  const asked: string[] = []
  const rootKey = Buffer.alloc(32, 1)
  const call = async (to: { nodeId: string }) => {
    asked.push(to.nodeId)
    return { rootKey } as never
  }
  t.strictSame(await sealPeers(store, 'id-me', { call }).ask(0), rootKey)
  t.strictSame(asked, ['id-there'])
  const room = { handOver: () => rootKey }
  const [handler] = sealPeerService(store, 'id-me', room, log)
  t.equal(handler?.method, handOver)
  const ask = (nodeId: string) =>
    (handler as never as { handle(q: object, c: object): Promise<object> }).handle(
      {},
      { peer: { nodeId } },
    )
  t.strictSame(await ask('id-dead'), { rootKey }, 'one that starts again')
  for (const id of ['id-gone', 'id-me', 'id-nobody']) {
    await t.rejects(ask(id), { code: 'PERMISSION_DENIED' }, id)
  }
})
