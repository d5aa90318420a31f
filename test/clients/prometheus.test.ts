/**
 * Prometheus's discovery of Consul services (its package discovery/consul, compiled here, since
 * Debian's build of Prometheus leaves it out): which targets it would scrape, and with what labels.
 */
import t, { type Test } from 'tap'
import { absent } from '../run/clients.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { buildGo } from './go-build.ts'
import { type Launched, launch, until } from './process.ts'

interface Group {
  readonly Source: string
  readonly Targets: readonly Readonly<Record<string, string>>[] | null
}

t.test('Prometheus follows services', { skip: absent('go') }, async t => {
  const program = await buildGo(t, 'prometheus')
  const daemon = await startDaemon(t)
  await register(t, daemon, {
    ID: 'web-1',
    Port: 8080,
    Tags: ['http', 'v1'],
    Meta: { team: 'red' },
  })
  const prometheus = launch(t, program, [`127.0.0.1:${daemon.httpPort}`])

  const [target] = await targets(prometheus, 'web', 1)
  t.match(target, {
    __address__: '127.0.0.1:8080',
    __meta_consul_service_id: 'web-1',
    __meta_consul_service_port: '8080',
    __meta_consul_service_metadata_team: 'red',
    __meta_consul_tags: ',http,v1,',
    __meta_consul_health: 'passing',
  })

  await register(t, daemon, { ID: 'web-2', Port: 8081, Tags: [], Meta: {} })
  const both = await targets(prometheus, 'web', 2)
  t.same(
    both.map(one => one.__address__),
    ['127.0.0.1:8080', '127.0.0.1:8081'],
    'a second instance is found without asking again from the start',
  )

  await daemon.ask('PUT', '/v1/agent/check/fail/service:web-2')
  await until('the failing check is told', async () => {
    const found = await targets(prometheus, 'web', 2)
    return found[1]?.__meta_consul_health === 'critical'
  })

  await daemon.ask('PUT', '/v1/agent/service/deregister/web-1')
  await daemon.ask('PUT', '/v1/agent/service/deregister/web-2')
  await targets(prometheus, 'web', 0)
  t.ok(prometheus.isRunning(), 'it went on to the end')
  t.notMatch(prometheus.stderr(), /level=error/, 'and found nothing wrong with any answer')
})

async function register(t: Test, daemon: Daemon, service: object): Promise<void> {
  const check = { TTL: '10m', Status: 'passing' }
  const body = { Name: 'web', Address: '127.0.0.1', Check: check, ...service }
  const { status, text } = await daemon.ask('PUT', '/v1/agent/service/register', body)
  t.equal(status, 200, text)
}

/** The newest targets of a service, once they are as many as this. */
function targets(prometheus: Launched, service: string, count: number) {
  return until(`${count} targets of ${service}`, () => {
    if (!prometheus.isRunning()) throw new Error(`it ended: ${prometheus.stderr()}`)
    const newest = prometheus
      .stdout()
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as Group)
      .findLast(({ Source }) => Source === service)
    const found = newest?.Targets ?? []
    return newest !== undefined && found.length === count && found
  })
}
