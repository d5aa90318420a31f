/**
 * The program as a process: its name, streams, exit code, and the switches of the systemd unit.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'
import { fakeAgent, realAgent } from './support.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const launcher = fileURLToPath(new URL('../../bin/gatehouse', import.meta.url))
const hardened = ['--disable-sigusr1', '--disable-proto=throw']

t.test('called under the name consul it answers as that', async t => {
  const folder = t.testdir({})
  const link = join(folder, 'consul')
  symlinkSync(main, link)
  const run = (path: string): string =>
    spawnSync(process.execPath, [...hardened, path, 'version'], { encoding: 'utf8' }).stdout
  t.match(run(main), /^gatehouse v/)
  t.match(run(link), /^Consul v/)
  const launcherLink = join(t.testdir({}), 'consul')
  symlinkSync(launcher, launcherLink)
  const launched = (path: string): string =>
    spawnSync(path, ['version'], { encoding: 'utf8' }).stdout
  t.match(launched(launcher), /^gatehouse v/)
  t.match(launched(launcherLink), /^Consul v/)
})

t.test('called under the names of Vault it takes its verbs', async t => {
  for (const [name, text] of [
    ['vault', /^Vault v\d+\.\d+\.\d+ \(/],
    ['bao', /^OpenBao v\d+\.\d+\.\d+ \(/],
  ] as const) {
    for (const target of [main, launcher]) {
      const link = join(t.testdir({}), name)
      symlinkSync(target, link)
      const words = target === main ? [...hardened, link, 'version'] : ['version']
      const command = target === main ? process.execPath : link
      t.match(spawnSync(command, words, { encoding: 'utf8' }).stdout, text)
    }
  }
})

t.test('bytes in, bytes out, and the exit code', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const bytes = Buffer.from([0, 255, 10, 128])
  const environment = { ...process.env, CONSUL_HTTP_ADDR: agent.address }
  const run = async (words: string[], stdin?: Buffer) => {
    const child = spawn(process.execPath, [...hardened, main, ...words], { env: environment })
    const chunks: Buffer[] = []
    child.stdout.on('data', chunk => chunks.push(chunk))
    child.stdin.end(stdin)
    const [code] = await once(child, 'close')
    return { code, out: Buffer.concat(chunks) }
  }
  agent.answer('true')
  t.equal((await run(['kv', 'put', 'k', '-'], bytes)).code, 0)
  t.equal(agent.asked.at(-1)?.body, bytes.toString('latin1'))
  agent.answer([{ Key: 'k', Value: bytes.toString('base64') }])
  const got = await run(['kv', 'get', 'k'])
  t.same(got.out, Buffer.concat([bytes, Buffer.from('\n')]))
  agent.answer('', 404)
  t.equal((await run(['kv', 'get', 'k'])).code, 1)
  t.equal((await run(['nonsense'])).code, 127)
})

t.test('a lock is given back though nobody reads what we print any more', async t => {
  const { daemon, environment } = await realAgent(t)
  const folder = t.testdir({})
  const [on, go] = [join(folder, 'on'), join(folder, 'go')]
  const line = `echo > ${on}; while [ ! -e ${go} ]; do sleep 0.05; done`
  const child = spawn(process.execPath, [...hardened, main, 'lock', '-verbose', 'gone', line], {
    env: { ...process.env, ...environment },
  })
  const ended = once(child, 'close')
  await until('it holds', () => existsSync(on))
  child.stdout.destroy()
  writeFileSync(go, '')
  t.same(await ended, [0, null])
  t.same(await daemon.read('/v1/session/list'), [])
  t.equal((await daemon.ask('GET', '/v1/kv/gone?recurse')).status, 404)
})

t.test('the agent as Consul itself would be asked: by a socket file, under its name', async t => {
  const socket = join(tempFolder(t), 'http.sock')
  await realAgent(t, [`-hcl=addresses { http = "127.0.0.1 unix://${socket}" }`])
  const link = join(t.testdir({}), 'consul')
  symlinkSync(launcher, link)
  const run = (...words: string[]) =>
    spawnSync(link, words, {
      encoding: 'utf8',
      env: { ...process.env, CONSUL_HTTP_ADDR: `unix://${socket}` },
    })
  t.match(run('members'), { status: 0, stdout: /^Node +Address +Status .*\nn1 / })
  t.match(run('kv', 'put', 'a', 'b'), { status: 0, stdout: 'Success! Data written to: a\n' })
  t.match(run('kv', 'get', 'none'), { status: 1, stderr: 'Error! No key exists at: none\n' })
  t.match(run('kv'), { status: 1, stderr: /^Usage: consul <verb>/ })
  t.match(run('catalog', 'services', '--tags', '-format', 'json'), { stdout: /"consul": \[\]/ })
})

t.test('secrets as Vault itself would be asked for them, in a shell', async t => {
  const words = ['-dev', '-dev-root-token-id=root']
  const { secretsPort } = await startDaemon(t, { engine: 'memory', words })
  const folder = t.testdir({})
  const link = join(folder, 'vault')
  symlinkSync(launcher, link)
  const run = (input: string, ...words: string[]) =>
    spawnSync(link, words, {
      encoding: 'utf8',
      input,
      env: { ...process.env, VAULT_ADDR: `http://127.0.0.1:${secretsPort}`, HOME: folder },
    })
  t.match(run('root\n', 'login', '-'), { status: 0, stdout: /^Success! You are now authenticated/ })
  t.match(run('s3cret', 'kv', 'put', 'secret/web', 'password=-'), { status: 0 })
  const field = run('', 'kv', 'get', '-field=password', 'secret/web')
  t.match(field, { status: 0, stdout: /^s3cret$/, stderr: '' })
  t.equal(field.stdout, 's3cret', 'no line end where nobody looks')
  t.match(run('', 'kv', 'get', 'secret/none'), { status: 2, stderr: /^No value found at / })
  t.match(run('', 'operator', 'unseal'), { status: 1, stderr: /stdin is no terminal/ })
  t.match(run('', 'kv'), { status: 1, stderr: /^Usage: vault <verb>/ })
})
