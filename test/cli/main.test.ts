/**
 * The program as a process: its name, streams, exit code, and the switches of the systemd unit.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { fakeAgent } from './support.ts'

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
