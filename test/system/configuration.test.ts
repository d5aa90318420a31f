/**
 * The configuration in the running program: what a file says is what clients meet, and what a
 * reload says from then on.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import path from 'node:path'
import t from 'tap'
import { program, startDaemon } from '../clients/daemon.ts'
import { launch, outputOf, tempFolder, until } from '../clients/process.ts'

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []

function askFile(socketPath: string, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: url, agent: false }, response => {
      let text = ''
      response.on('data', data => {
        text += String(data)
      })
      response.on('end', () => resolve(text))
    })
    asked.once('error', reject)
    asked.end()
  })
}

t.test('a file, and the same file changed', async t => {
  const folder = tempFolder(t)
  const [file, socket, seen] = ['a.hcl', 'http.sock', 'seen'].map(name => path.join(folder, name))
  if (file === undefined || socket === undefined || seen === undefined) throw new Error('no names')
  const write = (more: string): void =>
    writeFileSync(
      file,
      `addresses { http = "127.0.0.1 unix://${socket}" }
      unix_sockets { mode = "0600" }
      translate_wan_addrs = true
      advertise_addr_wan = "203.0.113.7"
      raft_protocol = 3
      http_config { block_endpoints = ["/v1/kv/secret"] }
      ${more}`,
    )
  const watch = (key: string): string =>
    `watches = [{ type = "key" key = "${key}" args = ["/bin/sh", "-c", "cat >> ${seen}"] }]`
  write(watch('a'))
  const daemon = await startDaemon(t, { engine: 'memory', words: [`-config-file=${file}`] })
  t.match(daemon.stderr(), `${file}:5: raft_protocol: taken, and means nothing here`)
  t.match(daemon.stdout(), `unix://${socket}`)
  t.equal(statSync(socket).mode & 0o777, 0o600)
  t.match(await askFile(socket, '/v1/status/leader'), '"127.0.0.1:')
  const self = await daemon.ask('GET', '/v1/agent/self')
  t.equal(self.headers['x-consul-translate-addresses'], 'true')
  t.ok(JSON.parse(self.text).DebugConfig.HTTPAddrs.includes(`unix://${socket}`))
  const [node] = await daemon.read<{ TaggedAddresses: object }[]>('/v1/catalog/nodes')
  t.match(node?.TaggedAddresses, { lan: '127.0.0.1', wan: '203.0.113.7' })
  t.equal((await daemon.ask('GET', '/v1/kv/secret/x')).status, 403)

  await until('the watch told of the start', () => linesOf(seen).length === 1)
  await daemon.ask('PUT', '/v1/kv/a', 'one')
  await until('the watch told of the change', () => linesOf(seen).length === 2)
  t.match(linesOf(seen), ['null', /"Key":"a"/])

  write(`limits { request_limits { mode = "enforcing" write_rate = 0 } } ${watch('b')}`)
  daemon.signal('SIGHUP')
  await until('the new rates hold', async () => {
    const { status } = await daemon.ask('PUT', '/v1/kv/a', 'two')
    return status === 503
  })
  t.equal((await daemon.ask('GET', '/v1/kv/a')).status, 200)
  await until('the other watch told of its start', () => linesOf(seen).at(-1) === 'null')

  write('limits { request_limits { mode = "strict" } }')
  daemon.signal('SIGHUP')
  await until('the reload is refused', () => daemon.stderr().includes('reload refused'))
  t.equal((await daemon.ask('PUT', '/v1/kv/a', 'two')).status, 503, 'and nothing has changed')
  t.equal(await daemon.stop(), 0)
  t.notOk(existsSync(socket), 'the socket is gone')
})

t.test('a configuration that is wrong starts nothing, and says all that is wrong', async t => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'a.hcl')
  writeFileSync(file, 'datacentre = "x"\nports { http = "80" }\nacl { enabled = 1 }\n')
  const started = launch(t, program, ['agent', `-config-file=${file}`])
  t.equal(await started.ended, 1)
  t.equal(started.stdout(), '')
  t.match(
    started.stderr(),
    `${file}:1: unknown key "datacentre"; did you mean "datacenter"?\n` +
      `${file}:2: ports.http: must be a whole number from -1 to 65535\n` +
      `${file}:3: acl.enabled: must be true or false`,
  )
  writeFileSync(file, 'datacenter = "x"')
  t.match(await outputOf(t, program, ['validate', file]), 'Configuration is valid!')
})

t.test('a socket in use is told apart from a stale one', async t => {
  const folder = tempFolder(t)
  const socket = path.join(folder, 'http.sock')
  const words = [`-hcl=addresses { http = "127.0.0.1 unix://${socket}" }`]
  const first = await startDaemon(t, { engine: 'memory', words })
  const args = ['agent', '-dev', '-http-port=0', '-dns-port=0', '-server-port=0', ...words]
  const second = launch(t, program, args)
  t.equal(await second.ended, 1)
  t.match(second.stderr(), `Error: ${socket}: another process listens on it`)
  t.match(await askFile(socket, '/v1/status/leader'), '"127.0.0.1:', 'the first goes on')
  await first.kill()
  t.ok(existsSync(socket), 'a killed process leaves it behind')
  const third = await startDaemon(t, { engine: 'memory', words })
  t.match(await askFile(socket, '/v1/status/leader'), '"127.0.0.1:')
  t.equal(await third.stop(), 0)
})
