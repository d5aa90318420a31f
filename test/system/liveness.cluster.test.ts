/**
 * An agent of a cluster that is killed: its node turns critical, its services leave DNS on every
 * server, and all of it is back when it is. And restores, which leave no row of who is alive: they
 * take nobody for dead, neither server nor agent.
 */
import t, { type Test } from 'tap'
import type { Daemon } from '../clients/daemon.ts'
import { outputOf, tempFolder, until } from '../clients/process.ts'
import { clientToken, foundCluster } from '../clients/target.ts'
import { absent, clientFile } from '../run/clients.ts'

t.setTimeout(170_000)

/** Restores by each in turn what it was, and looks at all of it at once. */
async function restoresUnder(t: Test, agents: readonly Daemon[]): Promise<void> {
  const EACH = 4
  const snapshotOf = ({ httpPort }: Daemon): string => `http://127.0.0.1:${httpPort}/v1/snapshot`
  const sessions = await Promise.all(
    agents.map(async agent => {
      const { text } = await agent.ask('PUT', '/v1/session/create', {})
      return (JSON.parse(text) as { ID: string }).ID
    }),
  )
  const body = await (await fetch(snapshotOf(agents[0]!))).arrayBuffer()
  for (let at = 0; at < EACH * agents.length; at++) {
    const by = agents[at % agents.length]!
    t.equal((await fetch(snapshotOf(by), { method: 'PUT', body })).status, 200)
    for (const agent of agents) {
      const created = await agent.ask('PUT', '/v1/session/create', {})
      t.equal(created.status, 200, created.text)
      t.strictSame(await agent.read('/v1/health/state/critical'), [])
    }
  }
  for (const id of sessions) {
    const found = await agents[0]!.read<unknown[]>(`/v1/session/info/${id}`)
    t.equal(found.length, 1, 'a session lives on')
  }
}

t.test('an agent is killed and comes back', { skip: absent('etcd', 'dig') }, async t => {
  const { servers, join } = await foundCluster(t, { wordsOf: at => [`-node=server-${at}`] })
  const token = await clientToken(servers[0]!)
  const dataDir = tempFolder(t)
  const edge = await join(token, { dataDir, words: ['-node=edge'] })
  await join(token, { words: ['-node=other'] })
  await edge.ask('PUT', '/v1/agent/service/register', { Name: 'web', Port: 80 })
  /** What each server says of the node and of its service. */
  const seen = async (): Promise<string[]> =>
    Promise.all(
      servers.map(async server => {
        const checks =
          await server.read<{ CheckID: string; Status: string }[]>('/v1/health/node/edge')
        const health = checks.find(({ CheckID }) => CheckID === 'serfHealth')?.Status
        const words = ['@127.0.0.1', '-p', `${server.dnsPort}`, '+short', 'web.service.consul']
        const found = (await outputOf(t, clientFile('dig'), words)).trim()
        return `${health} ${found}`
      }),
    )
  const all = (wanted: string) => async () => (await seen()).every(each => each === wanted)
  await until('all servers know it', all('passing 127.0.0.1'))
  await t.test('restores', t => restoresUnder(t, [...servers, edge]))
  await edge.kill()
  await until('nobody is told of it', all('critical '), 90_000)
  const again = await join('', { dataDir, words: ['-node=edge'] })
  await until('it is back', all('passing 127.0.0.1'), 60_000)
  t.match(await again.read('/v1/agent/self'), { Coord: { Vec: [] } }, 'and knows where it stands')
  t.pass('it went, and came back')
})
