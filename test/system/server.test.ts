/**
 * `server` as tools start it: the development server of test helpers, and one by a file in Vault's
 * form, which is initialised, and sealed at a restart.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { program } from '../clients/daemon.ts'
import { freePort, type Launched, launch, tempFolder, until } from '../clients/process.ts'
import { makeAuthority, replacePair } from '../x509/pki.ts'

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many paths
  readonly body: any
}

const ask = async (
  port: number,
  method: string,
  path: string,
  { token, body }: { token?: string; body?: object } = {},
): Promise<Answer> => {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/${path}`, {
    method,
    headers: token === undefined ? {} : { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
}

async function started(t: Test, words: string[], home = tempFolder(t)): Promise<Launched> {
  const server = launch(t, program, ['server', ...words], { env: { HOME: home } })
  await until('it is ready', () => /Ready\./.test(server.stdout()) || !server.isRunning())
  if (!server.isRunning()) throw new Error(server.stderr())
  return server
}

t.test('-dev is initialised, unsealed, and has its token and its share', async t => {
  const port = await freePort()
  const home = tempFolder(t)
  const words = ['-dev', '-dev-root-token-id=root', `-dev-listen-address=127.0.0.1:${port}`]
  const server = await started(t, words, home)
  const share = /^Unseal Key: (\S+)$/m.exec(server.stdout())?.[1] ?? ''
  t.match(server.stdout(), /^Root Token: root$/m)
  t.equal(readFileSync(join(home, '.vault-token'), 'utf8'), 'root')
  const data = { data: { a: 'b' } }
  const options = { token: 'root', body: data }
  t.equal((await ask(port, 'POST', 'secret/data/x', options)).status, 200)
  t.match(await ask(port, 'GET', 'sys/seal-status'), { body: { sealed: false, type: 'shamir' } })
  t.equal((await ask(port, 'PUT', 'sys/seal', { token: 'root' })).status, 204)
  t.match(await ask(port, 'GET', 'sys/seal-status'), { body: { sealed: true, t: 1, n: 1 } })
  t.match(await ask(port, 'PUT', 'sys/unseal', { body: { key: share } }), {
    body: { sealed: false },
  })
  t.match(await ask(port, 'GET', 'secret/data/x', { token: 'root' }), { body: { data } })
  server.signal('SIGTERM')
  t.equal(await server.ended, 0)
})

t.test('a file: initialised once, sealed after a restart, opened by its shares', async t => {
  const [port, folder] = [await freePort(), tempFolder(t)]
  const file = join(folder, 'vault.hcl')
  writeFileSync(
    file,
    `storage "file" { path = "${folder}/data" }
     listener "tcp" { address = "127.0.0.1:${port}" tls_disable = 1 }
     cluster_name = "named"
     default_lease_ttl = "2h"
     max_lease_ttl = "4h"
     disable_mlock = true`,
  )
  const first = await started(t, [`-config=${file}`])
  t.notMatch(first.stdout(), /Token|Unseal/)
  const body = { secret_shares: 1, secret_threshold: 1 }
  const made = await ask(port, 'PUT', 'sys/init', { body })
  const { root_token: token, keys } = made.body
  const unsealed = await ask(port, 'PUT', 'sys/unseal', { body: { key: keys[0] } })
  t.match(unsealed.body, { sealed: false, cluster_name: 'named' })
  const mount = { token, body: { type: 'kv' } }
  t.equal((await ask(port, 'POST', 'sys/mounts/kv', mount)).status, 204)
  t.match(await ask(port, 'GET', 'sys/mounts/kv/tune', { token }), {
    body: { data: { default_lease_ttl: 7_200, max_lease_ttl: 14_400 } },
  })
  const long = { token, body: { policies: ['default'], ttl: '100h' } }
  t.match(await ask(port, 'POST', 'auth/token/create', long), {
    body: { auth: { lease_duration: 14_400 } },
  })
  first.signal('SIGTERM')
  t.equal(await first.ended, 0)

  const second = await started(t, [`-config=${folder}`])
  t.match(await ask(port, 'GET', 'sys/seal-status'), { body: { sealed: true } })
  await ask(port, 'PUT', 'sys/unseal', { body: { key: keys[0] } })
  t.equal((await ask(port, 'GET', 'sys/mounts/kv/tune', { token })).status, 200)
  second.signal('SIGTERM')
  t.equal(await second.ended, 0)
})

t.test('a new certificate is taken at SIGHUP, also beside the registry', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const pair = authority.issue('web')
  const port = await freePort()
  const file = join(folder, 'vault.hcl')
  writeFileSync(
    file,
    `storage "inmem" {}
     listener "tcp" {
       address = "127.0.0.1:${port}"
       tls_cert_file = "${pair.certFile}"
       tls_key_file = "${pair.keyFile}"
     }`,
  )
  const server = await started(t, [`-config=${file}`])
  const before = await serialAt(port, authority.cert)
  replacePair(pair, authority.issue('next'))
  server.signal('SIGHUP')
  await until('it was reloaded', () => server.stderr().includes('configuration reloaded'))
  t.not(await serialAt(port, authority.cert), before)
  server.signal('SIGTERM')
  t.equal(await server.ended, 0)
})

t.test('agent -dev has both halves, with the token and the port that are named', async t => {
  const port = await freePort()
  const words = ['-dev', '-http-port=0', '-dns-port=-1', '-server-port=-1']
  const secrets = ['-dev-root-token-id=root', `-secrets-port=${port}`]
  const agent = launch(t, program, ['agent', ...words, ...secrets])
  await until('it is ready', () => /Ready\./.test(agent.stdout()) || !agent.isRunning())
  t.match(agent.stdout(), /^ {2}root token +root$/m)
  t.match(await ask(port, 'GET', 'auth/token/lookup-self', { token: 'root' }), {
    body: { data: { policies: ['root'] } },
  })
  agent.signal('SIGTERM')
  t.equal(await agent.ended, 0)
})

t.test('either half is switched off by itself', async t => {
  const port = await freePort()
  const words = ['agent', '-dev', '-http-port=0', '-dns-port=0', '-server-port=-1']
  const run = async (text: string) => {
    const agent = launch(t, program, [...words, `-secrets-port=${port}`, `-hcl=${text}`])
    await until('it is ready', () => /Ready\./.test(agent.stdout()) || !agent.isRunning())
    agent.signal('SIGTERM')
    t.equal(await agent.ended, 0, agent.stderr())
    return agent.stdout()
  }
  const secrets = await run('registry { enabled = false }')
  t.match(secrets, /^ {2}secrets /m)
  t.notMatch(secrets, /^ {2}(HTTP|DNS) /m)
  const registry = await run('secrets { enabled = false }')
  t.notMatch(registry, /^ {2}(secrets|root token) /m)
  t.match(registry, /^ {2}HTTP /m)
})

/** The serial number of the certificate that a new handshake sees. */
function serialAt(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '')
      socket.destroy()
    })
    socket.on('error', reject)
  })
}
