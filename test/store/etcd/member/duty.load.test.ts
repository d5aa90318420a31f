/** What load notices of members that pause: defragmented, stopped for a moment, killed. */
import t from 'tap'
import { put } from '../../../../src/store/store.ts'
import { until } from '../../../clients/process.ts'
import { things } from '../../../conformance/store.ts'
import { untilBudget } from '../../../run/budget.ts'
import { absent } from '../../../run/clients.ts'
import { openServers, operatorOf, type TestServer } from './servers.ts'

const real = { skip: absent('etcd') }
t.setTimeout(150_000)

t.test('load: members are defragmented, paused and killed; no write is lost', real, async t => {
  const servers = await openServers(t, 3)
  await Promise.all(servers.map(one => one.start()))
  for (const server of servers) await server.serve()
  const [first] = servers as [TestServer]
  const { store } = first
  await until('all are well', () => first.care.members.every(({ isHealthy }) => isHealthy))
  const load = new Load(first)
  const HARMS = ['defragment', 'pause', 'kill'] as const
  await untilBudget(
    'members harmed under load',
    30,
    async index => {
      const server = servers[Math.floor(index / HARMS.length) % servers.length]!
      const before = load.acknowledged.length
      const harm = HARMS[index % HARMS.length]!
      if (harm === 'defragment') await (await operatorOf(t, server.member)).defragment()
      else if (harm === 'kill') server.member.kill()
      else await pause(server)
      await until(`writes after ${harm}`, () => load.acknowledged.length > before + 20)
      await until('it is back', async () => (await server.ready()) === '')
    },
    HARMS.length,
  )
  await load.stop()
  await store.readIndex()
  const view = store.view()
  t.same(
    load.acknowledged.filter(key => view.get(things, key) === undefined),
    [],
    'all that was acknowledged',
  )
})

/** Stops a member's process for a while, as a disk that does not answer would. */
async function pause({ member }: TestServer): Promise<void> {
  const { pid } = member
  process.kill(pid, 'SIGSTOP')
  await new Promise(resolve => setTimeout(resolve, 3_000))
  process.kill(pid, 'SIGCONT')
}

class Load {
  readonly acknowledged: string[] = []
  #isOver = false
  readonly #running: Promise<void>

  constructor({ store }: TestServer) {
    const run = async (): Promise<void> => {
      for (let n = 1; !this.#isOver; n++) {
        const key = `key-${n}`
        const row = { group: 'g', tags: [], size: n }
        try {
          await store.write(() => ({ txn: [put(things, key, row)], answer: 0 }))
          this.acknowledged.push(key)
        } catch {
          // Not acknowledged: it may be there or not.
        }
      }
    }
    this.#running = run()
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }
}
