/** A real HAProxy that takes its servers from our SRV answers: it follows who comes and goes. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { askPort, type Daemon, startDaemon } from './daemon.ts'
import { startNginx, stopNginx } from './nginx.ts'
import { freePort, launch, tempFolder, until } from './process.ts'

t.test('HAProxy follows SRV records', { skip: absent('haproxy', 'nginx') }, async t => {
  const daemon = await startDaemon(t)
  const first = await startInstance(t, daemon, 'first')
  const second = await startInstance(t, daemon, 'second')
  const port = await startHaproxy(t, daemon.dnsPort)

  /** The answers of a few requests through HAProxy, each name once; 503 when there is no one. */
  const answers = async (): Promise<string> => {
    const seen = new Set<string>()
    for (let i = 0; i < 6; i += 1) {
      const { status, text } = await askPort(port, 'GET', '/')
      seen.add(status === 200 ? text : `${status}`)
    }
    return [...seen].sort().join(' ')
  }
  const follows = (wanted: string) =>
    until(`HAProxy reaches ${wanted}`, async () => (await answers()) === wanted, 30_000)

  await follows('first second')
  await stopNginx(first.nginx)
  await follows('second')
  first.nginx = await startNginx(t, first.port, 'first')
  await follows('first second')
  await daemon.ask('PUT', '/v1/agent/service/deregister/second')
  await follows('first')
  await stopNginx(first.nginx)
  await follows('503')
  t.pass('it followed each change')
  await stopNginx(second.nginx)
})

async function startInstance(t: Test, daemon: Daemon, name: string) {
  const port = await freePort()
  const nginx = await startNginx(t, port, name)
  const { status, text } = await daemon.ask('PUT', '/v1/agent/service/register', {
    ID: name,
    Name: 'web',
    Port: port,
    Check: { HTTP: `http://127.0.0.1:${port}/`, Interval: '1s', Timeout: '1s' },
  })
  t.equal(status, 200, text)
  return { port, nginx }
}

async function startHaproxy(t: Test, dnsPort: number): Promise<number> {
  const port = await freePort()
  const file = path.join(tempFolder(t), 'haproxy.cfg')
  writeFileSync(
    file,
    `
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
resolvers gatehouse
  nameserver dns 127.0.0.1:${dnsPort}
  accepted_payload_size 8192
  resolve_retries 3
  timeout resolve 500ms
  timeout retry 500ms
  hold valid 500ms
  hold nx 500ms
  hold obsolete 0s
frontend all
  bind 127.0.0.1:${port}
  default_backend web
backend web
  balance roundrobin
  server-template web 4 _web._tcp.service.consul resolvers gatehouse resolve-prefer ipv4 init-addr none
`,
  )
  const haproxy = launch(t, clientFile('haproxy'), ['-db', '-f', file])
  await until(`HAProxy listens`, async () => {
    if (!haproxy.isRunning()) throw new Error(`it ended: ${haproxy.stderr()}`)
    return (await askPort(port, 'GET', '/')).status > 0
  })
  return port
}
