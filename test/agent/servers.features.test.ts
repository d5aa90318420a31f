/**
 * An upgrade of three servers to the next version, one by one and with a step back on the way, and
 * what comes of versions that do not fit.
 */
import t from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { openEtcdStore } from '../../src/store/etcd/engine.ts'
import { activeLevel } from '../../src/store/tables/server.ts'
import { tempFolder } from '../clients/process.ts'
import { allTables } from '../http/engines.ts'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'
import { eventually, type OneServer, startServer } from './several.ts'

const NEXT = { lowest: 1, highest: 2 }
const NAMES = ['one', 'two', 'three'] as const

t.test(
  'the next version joins and leaves, and comes to stay',
  { skip: absent('etcd') },
  async t => {
    const { endpoint } = await startEtcd(t)
    const options = { endpoints: [endpoint], folder: tempFolder(t) }
    const store = await openEtcdStore({
      ...{ endpoints: [endpoint], prefix: 'several', serverId: 'looker' },
      ...{ tables: allTables, clock: systemClock, random: systemRandom },
    })
    t.teardown(() => store.close())
    const level = (): number => activeLevel(store.view())
    const running = new Map<string, OneServer>()
    const start = async (name: string, levels?: typeof NEXT): Promise<void> => {
      await running.get(name)?.stop()
      const given = levels === undefined ? options : { ...options, levels }
      running.set(name, await startServer(t, name, given))
    }
    for (const name of NAMES) await start(name)
    const works = async (): Promise<void> => {
      for (const server of running.values()) {
        t.equal((await server.ask('PUT', `/v1/kv/${server.name}`, 'x')).text, 'true', server.name)
      }
    }
    await start('one', NEXT)
    await works()
    t.equal(level(), 1, 'two servers do not speak it')
    await start('one')
    await works()
    t.equal(level(), 1, 'a step back is possible')
    for (const name of NAMES) {
      await start(name, NEXT)
      await works()
    }
    await eventually('all agree', () => level() === 2)
    await running.get('three')?.stop()
    await t.rejects(startServer(t, 'three', options), { code: 'locked', message: /too old/ })
    const after = { ...options, levels: { lowest: 3, highest: 4 } }
    await t.rejects(startServer(t, 'three', after), { code: 'locked', message: /too new/ })
    running.delete('three')
    await works()
    await start('three', NEXT)
    await works()
  },
)
