/**
 * An agent of a cluster that is killed: its node turns critical, its services leave DNS on every
 * server, and all of it is back when it is.
 */
import t from 'tap'
import { outputOf, tempFolder, until } from '../clients/process.ts'
import { clientToken, foundCluster } from '../clients/target.ts'
import { absent, clientFile } from '../run/clients.ts'

t.setTimeout(170_000)

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
  await edge.kill()
  await until('nobody is told of it', all('critical '), 90_000)
  const again = await join('', { dataDir, words: ['-node=edge'] })
  await until('it is back', all('passing 127.0.0.1'), 60_000)
  t.match(await again.read('/v1/agent/self'), { Coord: { Vec: [] } }, 'and knows where it stands')
  t.pass('it went, and came back')
})
