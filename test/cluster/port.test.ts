/**
 * What faces say of servers.
 */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { peersOf, type ServerFacts, serverAddress } from '../../src/cluster/port.ts'

const server = (
  name: string,
  status: ServerFacts['status'],
  address = '10.0.0.1',
): ServerFacts => ({
  ...{ nodeId: name, name, address, ports: { server: 8300, serfLan: 8301, serfWan: 8302 } },
  ...{ hasAcl: false, meta: {}, status, isLeader: false, isVoter: true, isHealthy: true },
  ...{ stableSince: wallMs(0), lastContactMs: 0, term: 1, lastIndex: 1, level: 1 },
})

t.test('an address of version 6 stands in brackets', async t => {
  t.equal(serverAddress(server('a', 'alive')), '10.0.0.1:8300')
  t.equal(serverAddress(server('a', 'alive', 'fd00::1')), '[fd00::1]:8300')
})

t.test('who left does not count where a majority decides; who failed does', async t => {
  const servers = [server('a', 'alive'), server('b', 'failed'), server('c', 'left')]
  t.strictSame(
    peersOf({ servers: () => servers }).map(({ name }) => name),
    ['a', 'b'],
  )
})
