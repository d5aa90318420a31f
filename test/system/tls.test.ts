/**
 * HTTPS of a real daemon: certificates that are replaced while clients wait, by signal, by request
 * and by themselves; pairs that do not fit; a switch that is thrown; a start that is refused.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { agentWords, askPort, type Daemon, program, startDaemon } from '../clients/daemon.ts'
import { launch, tempFolder, until } from '../clients/process.ts'
import { endingOf } from '../x509/outcome.ts'
import { makeAuthority, type Pair, replacePair } from '../x509/pki.ts'

/** The serial number of the certificate that a new handshake sees. */
function serialAt(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '')
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

/** A read on a connection of its own, which may wait long; with the certificate it was under. */
function wait(t: Test, port: number, ca: string, path: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  return new Promise<{ status: number; text: string; serial: string }>((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, ca, path, agent }, response => {
      const socket = response.socket as TLSSocket
      let text = ''
      response.setEncoding('utf8').on('data', part => {
        text += part
      })
      response.on('end', () => {
        const serial = socket.getPeerX509Certificate()?.serialNumber ?? ''
        resolve({ status: response.statusCode ?? 0, text, serial })
      })
    })
    asked.on('error', reject)
    asked.end()
  })
}

/** How many blocking queries wait, as the daemon counts them. */
async function waiting({ read }: Daemon): Promise<number | undefined> {
  const { Gauges } = await read<{ Gauges: { Name: string; Value: number }[] }>('/v1/agent/metrics')
  return Gauges.find(({ Name }) => /queries.blocking$/.test(Name))?.Value
}

const stanza = ({ certFile, keyFile }: Pair, more = ''): string =>
  `ports { https = 0 } tls { https { cert_file = "${certFile}" key_file = "${keyFile}" ${more} } }`

t.test('a new certificate and a new authority, under clients that wait', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const pair = authority.issue('web')
  const file = join(folder, 'agent.hcl')
  writeFileSync(file, stanza(pair))
  const log = join(folder, 'agent.log')
  const words = [`-config-file=${file}`, `-log-file=${log}`]
  const daemon = await startDaemon(t, { engine: 'memory', words })
  const { httpsPort, ask } = daemon
  const secure = (method: string, path: string, body = '') =>
    askPort(httpsPort, method, path, body, { ca: authority.cert })
  t.equal((await secure('PUT', '/v1/kv/a', 'x')).text, 'true')
  const first = await serialAt(httpsPort, authority.cert)
  const { headers } = await secure('GET', '/v1/kv/a')
  const path = `/v1/kv/a?raw&wait=10m&index=${headers['x-consul-index']}`
  const waiters = [0, 1, 2].map(() => wait(t, httpsPort, authority.cert, path))
  await until('all wait', async () => (await waiting(daemon)) === 3)

  const second = authority.issue('second')
  replacePair(pair, second)
  daemon.signal('SIGHUP')
  await until('the new one is seen', async () => {
    return (await serialAt(httpsPort, authority.cert)) !== first
  })
  t.equal(await waiting(daemon), 3, 'nobody was cut')
  const other = makeAuthority(folder, 'other')
  replacePair(pair, other.issue('third'))
  t.equal((await ask('PUT', '/v1/agent/reload')).status, 200)
  const third = await serialAt(httpsPort, other.cert)

  const before = readFileSync(pair.keyFile, 'utf8')
  const faults: [string, () => void, RegExp][] = [
    ['the key of another', () => writeFileSync(pair.keyFile, second.key), /is not the key of/],
    ['half a key', () => writeFileSync(pair.keyFile, before.slice(0, 90)), /no private key in PEM/],
    ['no certificate', () => rmSync(pair.certFile), /cannot be read \(ENOENT\)/],
  ]
  for (const [what, spoil, fault] of faults) {
    spoil()
    const { status, text } = await ask('PUT', '/v1/agent/reload')
    t.equal(status, 500, what)
    t.match(text, fault)
    t.notMatch(text, second.key.split('\n')[1]!)
    t.equal(await serialAt(httpsPort, other.cert), third, `${what}: the old one stays`)
  }
  t.equal((await ask('PUT', '/v1/kv/a', 'y')).text, 'true')
  for (const { status, text, serial } of await Promise.all(waiters)) {
    t.same([status, text], [200, 'y'])
    t.equal(serial, first, 'on the connection of before')
  }
  const written = readFileSync(log, 'utf8')
  t.match(written, /configuration reloaded: changed=tls\.https\.material\.digest/)
  t.match(written, /reload refused.*is not the key of/)
  for (const key of [second.key, before]) t.notMatch(written, key.split('\n')[1]!)
})

t.test('certificates of clients are asked for, and no more, from a reload on', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const pair = authority.issue('web')
  const { cert, key } = authority.issue('cli', { uses: ['clientAuth'] })
  const file = join(folder, 'agent.hcl')
  writeFileSync(file, stanza(pair))
  const words = [`-config-file=${file}`]
  const daemon = await startDaemon(t, { engine: 'memory', words })
  const at = { host: '127.0.0.1', port: daemon.httpsPort, ca: authority.cert }
  const kept = await wait(t, daemon.httpsPort, authority.cert, '/v1/status/leader')
  t.equal(kept.status, 200)
  t.not(await endingOf(at), 'refused')
  writeFileSync(file, stanza(pair, `ca_file = "${authority.certFile}" verify_incoming = true`))
  t.equal((await daemon.ask('PUT', '/v1/agent/reload')).status, 200)
  t.equal(await endingOf(at), 'refused')
  const shown = await askPort(daemon.httpsPort, 'GET', '/v1/agent/self', '', { ...at, cert, key })
  t.equal(shown.status, 200)
  const { TLS, HTTPSAddrs, HTTPSPort } = JSON.parse(shown.text).DebugConfig
  t.same(HTTPSAddrs, ['tcp://127.0.0.1:0'])
  t.equal(HTTPSPort, 0)
  t.match(TLS.HTTPS, { VerifyIncoming: true, CertFile: pair.certFile, KeyFile: 'hidden' })
  t.notMatch(shown.text, pair.keyFile)
  t.notMatch(shown.text, pair.key.split('\n')[1]!)
  writeFileSync(file, stanza(pair, 'verify_incoming = true'))
  const refused = await daemon.ask('PUT', '/v1/agent/reload')
  t.equal(refused.status, 500)
  t.match(refused.text, 'tls.https.verify_incoming: needs ca_file or ca_path')
  t.equal(await endingOf(at), 'refused', 'and it is asked for as before')
})

t.test('auto_reload_config notices that files of certificates changed', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const pair = authority.issue('web')
  const words = [`-hcl=${stanza(pair)}`, '-auto-reload-config']
  const { httpsPort } = await startDaemon(t, { engine: 'memory', words })
  const first = await serialAt(httpsPort, authority.cert)
  replacePair(pair, authority.issue('next'))
  await until('it is seen', async () => (await serialAt(httpsPort, authority.cert)) !== first)
})

t.test('a start with certificates that do not fit says so and leaves nothing behind', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const [web, other] = [authority.issue('web'), authority.issue('other')]
  const cases: [string, RegExp][] = [
    [
      'ports { https = 0 } tls {}',
      /ports\.https: needs a certificate and its key[\s\S]*tls cert create/,
    ],
    [stanza({ ...web, keyFile: other.keyFile }), /other-key\.pem: is not the key of .*web\.pem/],
    [stanza({ ...web, keyFile: '/nonexistent' }), /\/nonexistent: cannot be read \(ENOENT\)/],
    [stanza(web, 'verify_incoming = true'), /needs ca_file or ca_path/],
    [stanza(web, `ca_file = "${web.keyFile}"`), /holds no certificate in PEM/],
  ]
  for (const [text, fault] of cases) {
    const agent = launch(t, program, agentWords(join(folder, 'data'), { words: [`-hcl=${text}`] }))
    t.equal(await agent.ended, 1, text)
    t.match(agent.stderr(), fault)
    t.notMatch(agent.stderr(), web.key.split('\n')[1]!)
  }
  const old = authority.issue('old', { fromDays: -3, untilDays: -1 })
  const daemon = await startDaemon(t, { engine: 'memory', words: [`-hcl=${stanza(old)}`] })
  t.match(daemon.stderr(), /old\.pem: a certificate in it expired at/)
  t.equal(await daemon.stop(), 0)
})

t.test('HTTPS alone: no port in clear is opened', async t => {
  const authority = makeAuthority(tempFolder(t))
  const text = `${stanza(authority.issue('web'))} ports { http = -1 }`
  const agent = launch(t, program, [
    ...[
      'agent',
      '-dev',
      '-dns-port=0',
      '-http-port=-1',
      '-server-port=0',
      '-secrets-port=0',
      `-hcl=${text}`,
    ],
  ])
  await until('it is ready', () => agent.stdout().includes('\nReady.\n') || !agent.isRunning())
  t.match(agent.stdout(), /\n {2}HTTPS +https:\/\/127\.0\.0\.1:\d+\n/)
  t.notMatch(agent.stdout(), /\n {2}HTTP /)
  const port = Number(/HTTPS .*:(\d+)/.exec(agent.stdout())?.[1])
  t.match(agent.stdout(), `curl --cacert consul-agent-ca.pem https://localhost:${port}/v1/`)
  const answer = await askPort(port, 'GET', '/v1/status/leader', '', { ca: authority.cert })
  t.equal(answer.status, 200)
  agent.signal('SIGTERM')
  t.equal(await agent.ended, 0)
})
