/**
 * Foreign clients over TLS, with an authority and certificates as our command line makes them, and
 * a server that wants a certificate of its clients.
 */
import path from 'node:path'
import t, { type Test } from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { program, startDaemon } from './daemon.ts'
import { buildGo } from './go-build.ts'
import { assertScript, launch, tempFolder } from './process.ts'

const folder = tempFolder(t)
const at = (name: string): string => path.join(folder, name)
const CA = at('consul-agent-ca.pem')
/** The body of the answer that is asked for. */
const LEADER = /"127\.0\.0\.1:\d+"/
const cli = { cert: at('dc1-cli-consul-0.pem'), key: at('dc1-cli-consul-0-key.pem') }

for (const line of ['ca create', 'cert create -server', 'cert create -cli']) {
  const made = launch(t, program, ['tls', ...line.split(' ')], { cwd: folder })
  if ((await made.ended) !== 0) throw new Error(made.stderr())
}
const hcl = `ports { https = 0 } addresses { https = "127.0.0.1 unix://${at('s.sock')}" }
  tls { defaults { ca_file = "${CA}" verify_incoming = true }
        https { cert_file = "${at('dc1-server-consul-0.pem')}"
                key_file = "${at('dc1-server-consul-0-key.pem')}" } }`
const daemon = await startDaemon(t, { engine: 'memory', words: [`-hcl=${hcl}`] })

/** Runs a program to its end; gives its code and all that it printed. */
async function run(t: Test, file: string, words: readonly string[]) {
  const ran = launch(t, file, words)
  const code = await ran.ended
  return { code, text: ran.stdout() + ran.stderr() }
}

t.test('curl', { skip: absent('curl') }, async t => {
  const url = `https://127.0.0.1:${daemon.httpsPort}/v1/status/leader`
  const shown = ['--cacert', CA, '--cert', cli.cert, '--key', cli.key]
  const curl = (...words: string[]) => run(t, clientFile('curl'), ['-sS', '-v', ...words])
  const [COULD_NOT_CONNECT, NOT_BELIEVED] = [35, 60]
  const good = await curl(...shown, url)
  t.equal(good.code, 0, good.text)
  t.match(good.text, /TLSv1\.3/)
  t.match(good.text, LEADER)
  t.equal((await curl(...shown, '--tls-max', '1.2', url)).code, 0)
  t.equal((await curl(...shown, '--tls-max', '1.1', '--tlsv1.0', url)).code, COULD_NOT_CONNECT)
  t.match((await curl(...shown, '--http2', url)).text, /HTTP\/1\.1 200/)
  const named = url.replace('127.0.0.1', 'server.dc1.consul')
  const resolve = ['--resolve', `server.dc1.consul:${daemon.httpsPort}:127.0.0.1`]
  t.equal((await curl(...shown, ...resolve, named)).code, 0)
  const other = ['--resolve', `other.example:${daemon.httpsPort}:127.0.0.1`]
  const wrong = named.replace('server.dc1.consul', 'other.example')
  t.equal((await curl(...shown, ...other, wrong)).code, NOT_BELIEVED)
  t.equal((await curl('--cert', cli.cert, '--key', cli.key, url)).code, NOT_BELIEVED)
  const bare = await curl('--cacert', CA, url)
  t.ok(![0, NOT_BELIEVED].includes(Number(bare.code)), `shows nothing: ${bare.code}`)
  t.notMatch(bare.text, LEADER)
  const clear = await curl(url.replace('https', 'http'))
  t.not(clear.code, 0)
  t.notMatch(clear.text, LEADER)
  const file = await curl(
    ...shown,
    '--unix-socket',
    at('s.sock'),
    'https://localhost/v1/status/leader',
  )
  t.match(file.text, LEADER, 'a socket in a file')
})

t.test('what curl asks for again is what is there now', { skip: absent('curl') }, async t => {
  const url = `https://127.0.0.1:${daemon.httpsPort}/v1/kv/again`
  const shown = ['--cacert', CA, '--cert', cli.cert, '--key', cli.key]
  const curl = (...words: string[]) => run(t, clientFile('curl'), ['-sS', ...shown, ...words])
  const TIMES = 20
  const ids = new Set<string>()
  for (const value of ['first', 'second', 'x'.repeat(20_000)]) {
    t.equal((await curl('-X', 'PUT', '--data', value, url)).code, 0)
    const { text } = await curl('-i', ...Array.from({ length: TIMES }, () => `${url}?raw`))
    t.equal(text.split(`\r\n\r\n${value}`).length, TIMES + 1, `${value.length} bytes`)
    for (const [, id] of text.matchAll(/^X-Request-Id: (\S+)\r$/gm)) ids.add(id!)
  }
  t.equal(ids.size, 3 * TIMES, 'each answer has an id of its own')
})

t.test('openssl s_client', { skip: absent('openssl') }, async t => {
  const connect = ['s_client', '-connect', `127.0.0.1:${daemon.httpsPort}`, '-CAfile', CA]
  const shown = ['-cert', cli.cert, '-key', cli.key, '-verify_return_error']
  const ask = (...words: string[]) =>
    run(t, clientFile('openssl'), [...connect, ...shown, ...words])
  const good = await ask('-verify_hostname', 'server.dc1.consul', '-alpn', 'h2,http/1.1')
  t.match(good.text, 'Verify return code: 0 (ok)')
  t.match(good.text, 'Verified peername: server.dc1.consul')
  t.match(good.text, 'ALPN protocol: http/1.1')
  t.match(good.text, /New, TLSv1\.3, Cipher is TLS_AES_128_GCM_SHA256/)
  t.match(good.text, /Acceptable client certificate CA names[\s\S]*Consul Agent CA/)
  t.match((await ask('-verify_hostname', 'other.example')).text, 'hostname mismatch')
  const older = await ask('-tls1_2')
  t.match(older.text, /Cipher is ECDHE-ECDSA-AES128-GCM-SHA256/)
  t.match(older.text, /Compression: NONE/)
  t.match(older.text, /Secure Renegotiation IS supported/)
  for (const old of ['-tls1', '-tls1_1']) {
    const { code, text } = await ask(old, '-cipher', 'DEFAULT@SECLEVEL=0')
    t.equal(code, 1)
    t.match(text, /alert protocol version|no protocols available/)
  }
  const session = at('session.pem')
  await ask('-tls1_2', '-sess_out', session)
  t.match((await ask('-tls1_2', '-sess_in', session)).text, 'Reused, TLSv1.2')
})

t.test('python3-consul and Python itself', { skip: absent('python3-consul') }, async t => {
  const script = path.join(import.meta.dirname, 'python-consul-tls.py')
  const env = { PYTHONDONTWRITEBYTECODE: '1' }
  const words = [script, String(daemon.httpsPort), CA, cli.cert, cli.key]
  await assertScript(t, launch(t, '/usr/bin/python3', words, { env }))
})

t.test('github.com/hashicorp/consul/api', { skip: absent('go') }, async t => {
  const script = await buildGo(t, 'go')
  const words = ['tls', String(daemon.httpsPort), CA, cli.cert, cli.key]
  await assertScript(t, launch(t, script, words))
})
