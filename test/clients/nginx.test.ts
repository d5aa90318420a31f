/** A real nginx with a health check of the agent's, as DNS shows it: there, gone, back. */
import t from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { startDaemon } from './daemon.ts'
import { startNginx, stopNginx } from './nginx.ts'
import { freePort, outputOf, until } from './process.ts'

t.test(
  'nginx appears in DNS, vanishes when stopped, returns when started',
  {
    skip: absent('nginx', 'dig'),
  },
  async t => {
    const daemon = await startDaemon(t)
    const port = await freePort()
    const dig = (...words: string[]) =>
      outputOf(t, clientFile('dig'), ['@127.0.0.1', '-p', `${daemon.dnsPort}`, '+short', ...words])
    const srv = async () => (await dig('web.service.consul', 'SRV')).trim()
    const instances = async () =>
      (await daemon.read<object[]>('/v1/health/service/web?passing')).length

    const registered = await daemon.ask('PUT', '/v1/agent/service/register', {
      Name: 'web',
      Port: port,
      Check: { HTTP: `http://127.0.0.1:${port}/`, Interval: '1s', Timeout: '1s' },
    })
    t.same([registered.status, registered.text], [200, ''])
    t.equal(await srv(), '', 'not while its check has never passed')

    const nginx = await startNginx(t, port, 'one')
    const found = await until('it is in DNS', async () => (await srv()) || undefined)
    t.match(found, new RegExp(`^1 1 ${port} .+\\.node\\.dc1\\.consul\\.$`))
    t.equal((await dig('web.service.consul', 'A')).trim(), '127.0.0.1')
    t.equal((await dig('web.service.consul', 'A', '+tcp')).trim(), '127.0.0.1')
    t.equal(await instances(), 1)

    await stopNginx(nginx)
    await until('it is gone from DNS', async () => (await srv()) === '')
    t.equal(await instances(), 0)
    const [check] = await daemon.read<{ Output: string }[]>('/v1/health/checks/web')
    t.match(check?.Output, /connection refused/)

    await startNginx(t, port, 'again')
    await until('it is back', async () => (await srv()) !== '')
    t.equal(await instances(), 1)
  },
)
