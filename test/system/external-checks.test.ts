/**
 * Services without an agent, on the program as it is started: their checks are run, their TTLs are
 * kept, and a restart goes on with both.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'
import { askUdp, framed, messagesOf, queryOf, textOf } from '../dns/support.ts'

interface Shown {
  readonly CheckID: string
  readonly Status: string
  readonly Output: string
}

const words = [
  '-hcl=check_reap_interval = "1s"',
  '-hcl=check_deregister_interval_min = "1s"',
  '-hcl=check_update_interval = "0s"',
]

async function listen(t: Test, port = 0): Promise<Server> {
  const server = createServer((_request, response) => response.end('well'))
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => close(server))
  return server
}

function close(server: Server): void {
  server.closeAllConnections()
  server.close()
}

async function untilCheck(daemon: Daemon, id: string, wanted: RegExp): Promise<void> {
  await until(`${id} says ${wanted}`, async () => {
    const shown = await daemon.read<Shown[]>('/v1/health/node/printer')
    const found = shown.find(({ CheckID }) => CheckID === id)
    return wanted.test(`${found?.Status} ${found?.Output}`)
  })
}

/** What DNS says of the service. */
async function answers({ dnsPort }: Daemon): Promise<string> {
  const answer = await askUdp(dnsPort, queryOf('print.service.consul A'))
  return messagesOf(framed(answer)).flatMap(textOf).join()
}

t.test('an external node is probed, over a kill, until nothing of it is left', async t => {
  const dataDir = tempFolder(t)
  const target = await listen(t)
  const { port } = target.address() as AddressInfo
  const definition = { HTTP: `http://127.0.0.1:${port}/`, Interval: '1s' }
  const registration = {
    Node: 'printer',
    Address: '127.0.0.1',
    NodeMeta: { 'external-node': 'true', 'external-probe': 'true' },
    Service: { ID: 'print1', Service: 'print', Port: port },
    Checks: [
      { CheckID: 'up', Name: 'up', ServiceID: 'print1', Definition: definition },
      { CheckID: 'seen', Name: 'seen', Status: 'passing', Definition: { TTL: '1h' } },
    ],
  }
  const daemon = await startDaemon(t, { dataDir, words })
  t.equal((await daemon.ask('PUT', '/v1/catalog/register', registration)).status, 200)
  t.equal(await answers(daemon), 'NXDOMAIN', 'critical before it was asked')
  await untilCheck(daemon, 'up', /^passing HTTP GET .*: 200 OK Output: well$/)
  t.equal(await answers(daemon), 'A 127.0.0.1')
  close(target)
  await untilCheck(daemon, 'up', /^critical Get "?http:\/\/127.0.0.1:\d+\/"?: dial tcp .* refused/)
  t.equal(await answers(daemon), 'NXDOMAIN')
  await daemon.kill()

  const again = await startDaemon(t, { dataDir, words })
  const back = await listen(t, port)
  await untilCheck(again, 'up', /^passing/)
  t.equal(await answers(again), 'A 127.0.0.1')
  const brief = { ...definition, DeregisterCriticalServiceAfter: '1s' }
  const [up, seen] = registration.Checks
  const checks = [
    { ...up, Status: 'passing', Definition: brief },
    { ...seen, Definition: { TTL: '1s', DeregisterCriticalServiceAfter: '5s' } },
  ]
  await again.ask('PUT', '/v1/catalog/register', { ...registration, Checks: checks.slice(0, 1) })
  close(back)
  await until('the service is gone', async () => {
    return (await again.read<unknown[]>('/v1/catalog/service/print')).length === 0
  })
  await again.ask('PUT', '/v1/catalog/register', { ...registration, Checks: checks.slice(1) })
  await untilCheck(again, 'seen', /^critical TTL expired$/)
  await until('the node is gone', async () => {
    return (await again.read('/v1/catalog/node/printer')) === null
  })
  t.match(again.stderr() + again.stdout(), 'deregistered a service that stayed critical')
  t.equal(await again.stop(), 0)
})
