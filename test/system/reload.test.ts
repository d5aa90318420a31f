/**
 * Reloading a real daemon: by signal and by request, with waiting clients, bad files and good ones.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'

const web = (port: number) => `service { name = "web" port = ${port} check { ttl = "1h" } }\n`

t.test('services, headers, metadata and the log level are taken over; nobody is cut', async t => {
  const folder = tempFolder(t)
  const file = join(folder, 'a.hcl')
  const log = join(folder, 'agent.log')
  writeFileSync(file, web(80))
  const words = [`-config-file=${file}`, `-log-file=${log}`, '-node=here']
  const daemon = await startDaemon(t, { words })
  const { ask, read } = daemon
  const portOf = async (): Promise<number | undefined> => {
    const services = await read<Record<string, { Port: number }>>('/v1/agent/services')
    return services.web?.Port
  }
  t.equal(await portOf(), 80)
  await ask('PUT', '/v1/kv/a', 'x')
  const { headers } = await ask('GET', '/v1/kv/a')
  const waiting = ask('GET', `/v1/kv/a?index=${headers['x-consul-index']}&wait=10m`)
  await until('it waits', async () => (await waitingQueries(read)) === 1)

  writeFileSync(
    file,
    `${web(81)}node_meta { rack = "b2" }\nlog_level = "debug"
     http_config { response_headers { X-Site = "two" } }\ndomain = "else"`,
  )
  daemon.signal('SIGHUP')
  await until('the service moves', async () => (await portOf()) === 81)
  const next = await ask('GET', '/v1/catalog/node/here')
  t.equal(next.headers['x-site'], 'two')
  t.equal(JSON.parse(next.text).Node.Meta.rack, 'b2')
  t.equal((await read<{ Meta: { rack: string } }>('/v1/agent/self')).Meta.rack, 'b2')
  await until('the log says so', () => readFileSync(log, 'utf8').includes('need a restart'))
  t.match(readFileSync(log, 'utf8'), /need a restart were not taken over: changed=domain\n/)

  writeFileSync(file, 'service { name = "other" check { ttl = "nonsense" } }')
  const refused = await ask('PUT', '/v1/agent/reload')
  t.equal(refused.status, 500)
  t.match(refused.text, /a\.hcl:1/)
  t.equal(await portOf(), 81, 'the old one is still there')

  writeFileSync(file, 'log_level = "info"')
  t.equal((await ask('PUT', '/v1/agent/reload')).status, 200)
  t.equal(await portOf(), undefined, 'what no file holds any more goes')
  await ask('PUT', '/v1/kv/a', 'y')
  t.equal((await waiting).status, 200, 'who waited all the time is answered')
})

t.test('leave ends the daemon, answered and with 0', async t => {
  const daemon = await startDaemon(t)
  await daemon.ask('PUT', '/v1/kv/a', 'x')
  const { headers } = await daemon.ask('GET', '/v1/kv/a')
  const waiting = daemon.ask('GET', `/v1/kv/a?index=${headers['x-consul-index']}&wait=10m`)
  await until('it waits', async () => (await waitingQueries(daemon.read)) === 1)
  t.equal((await daemon.ask('PUT', '/v1/agent/leave')).status, 200)
  t.equal(await daemon.ended, 0)
  t.equal((await waiting).status, 200)
  t.match(daemon.stderr(), 'a client asked it to leave')
})

/** How many blocking queries wait, as the daemon counts them. */
async function waitingQueries(read: <T>(url: string) => Promise<T>): Promise<number | undefined> {
  const { Gauges } = await read<{ Gauges: { Name: string; Value: number }[] }>('/v1/agent/metrics')
  return Gauges.find(({ Name }) => Name.endsWith('.rpc.queries_blocking'))?.Value
}
