/**
 * Resolvers that hand one domain to us, as people set them up: unbound by a stub, dnsmasq by a
 * server for the domain. And both as our recursors.
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { freePort, launch, outputOf, tempFolder, until } from './process.ts'

/** What dig prints shortly, asking this port; a name in data may have letters of the question. */
const short = async (t: Test, port: number, ...words: string[]): Promise<string[]> => {
  const at = ['@127.0.0.1', '-p', `${port}`, '+short', '+tries=1', '+time=5']
  const printed = await outputOf(t, clientFile('dig'), [...at, ...words])
  return printed.toLowerCase().split('\n').filter(Boolean).sort()
}

/** Resolvers ask again over TCP only where TC tells them that there is more. */
const startOurs = (t: Test): Promise<Daemon> =>
  startDaemon(t, { words: ['-hcl=dns_config { enable_truncate = true }'] })

async function fill(daemon: Daemon): Promise<void> {
  const register = (body: object) => daemon.ask('PUT', '/v1/catalog/register', body)
  for (let i = 0; i < 40; i++) {
    const Service = { ID: `${i}`, Service: 'wide', Port: 80, Address: `10.3.0.${i}` }
    await register({ Node: 'one', Address: '10.0.0.1', Service })
  }
  const Service = { Service: 'alias', Port: 80, Address: 'wide.service.consul' }
  await register({ Node: 'one', Address: '10.0.0.1', Service })
}

/** What holds of a resolver that has our domain from us. */
async function holds(t: Test, port: number, daemon: Daemon): Promise<void> {
  await until('the resolver answers', async () => {
    return (await short(t, port, 'one.node.consul')).join() === '10.0.0.1'
  })
  const all = Array.from({ length: 40 }, (_, i) => `10.3.0.${i}`).sort()
  t.strictSame(await short(t, port, '+bufsize=4096', 'wide.service.consul'), all, 'by UDP')
  t.strictSame(await short(t, port, '+tcp', 'wide.service.consul'), all, 'by TCP')
  t.strictSame(await short(t, port, 'ALIAS.Service.consul', '+tcp'), [
    ...all,
    'wide.service.consul.',
  ])
  const srv = await short(t, port, '+tcp', '_wide._tcp.service.consul', 'SRV')
  t.equal(srv.length, 40)
  t.match(srv[0], /^1 1 80 0a0300[0-9a-f]{2}\.addr\.dc1\.consul\.$/)
  t.strictSame(await short(t, port, 'nobody.service.consul'), [])
  t.strictSame(await short(t, port, 'one.node.consul', 'AAAA'), [])
  const Service = { Service: 'late', Address: '10.4.0.1' }
  await daemon.ask('PUT', '/v1/catalog/register', { Node: 'one', Address: '10.0.0.1', Service })
  t.strictSame(await short(t, port, 'late.service.consul'), ['10.4.0.1'])
}

t.test('unbound with a stub zone', { skip: absent('unbound', 'dig') }, async t => {
  const daemon = await startOurs(t)
  await fill(daemon)
  const port = await freePort()
  const folder = tempFolder(t)
  const file = path.join(folder, 'unbound.conf')
  const config = `server:
  interface: 127.0.0.1
  port: ${port}
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "10.in-addr.arpa." nodefault
  qname-minimisation: yes
  qname-minimisation-strict: yes
remote-control:
  control-enable: no
stub-zone:
  name: "consul"
  stub-addr: 127.0.0.1@${daemon.dnsPort}
stub-zone:
  name: "10.in-addr.arpa"
  stub-addr: 127.0.0.1@${daemon.dnsPort}
`
  writeFileSync(file, config)
  launch(t, clientFile('unbound'), ['-d', '-p', '-c', file])
  await holds(t, port, daemon)
  t.strictSame(await short(t, port, '-x', '10.0.0.1'), ['one.node.dc1.consul.'])
})

t.test('dnsmasq with a server for the domain', { skip: absent('dnsmasq', 'dig') }, async t => {
  const daemon = await startOurs(t)
  await fill(daemon)
  const port = await freePort()
  await startDnsmasq(t, port, [`--server=/consul/127.0.0.1#${daemon.dnsPort}`])
  await holds(t, port, daemon)
})

t.test('dnsmasq as our recursor, from a reload on', { skip: absent('dnsmasq', 'dig') }, async t => {
  const port = await freePort()
  await startDnsmasq(t, port, [
    '--address=/outside.example/192.0.2.7',
    '--txt-record=text.example,a text',
    '--caa-record=text.example,0,issue,ca.example',
  ])
  const silent = await freePort()
  const file = path.join(tempFolder(t), 'dns.hcl')
  writeFileSync(file, '')
  const daemon = await startDaemon(t, { words: [`-config-file=${file}`, '-node=here'] })
  await daemon.ask('PUT', '/v1/catalog/register', { Node: 'far', Address: 'outside.example' })
  const ask = (...words: string[]) => short(t, daemon.dnsPort, ...words)
  t.strictSame(await ask('outside.example'), [], 'nobody is asked')
  t.strictSame(await ask('far.node.consul'), ['outside.example.'])
  writeFileSync(file, `recursors = ["127.0.0.1:${silent}", "127.0.0.1:${port}"]`)
  daemon.signal('SIGHUP')
  await until('dnsmasq answers', async () => (await ask('outside.example')).length > 0)
  t.strictSame(await ask('outside.example'), ['192.0.2.7'])
  t.strictSame(await ask('+tcp', '+noedns', 'OUTSIDE.example'), ['192.0.2.7'])
  t.strictSame(await ask('far.node.consul'), ['192.0.2.7', 'outside.example.'])
  t.strictSame(await ask('text.example', 'TXT'), ['"a text"'])
  t.strictSame(await ask('text.example', 'CAA'), ['0 issue "ca.example"'], 'a type we do not know')
  t.strictSame(await ask('here.node.consul'), ['127.0.0.1'], 'our own domain stays here')
})

async function startDnsmasq(t: Test, port: number, words: readonly string[]): Promise<void> {
  const own = ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--conf-file=/dev/null']
  const where = [`--port=${port}`, '--listen-address=127.0.0.1', '--bind-interfaces', '--pid-file=']
  launch(t, clientFile('dnsmasq'), [...own, ...where, '--cache-size=0', '--user=', ...words])
}
