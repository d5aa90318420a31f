/**
 * The packed package installs in an empty folder elsewhere and starts there: it carries
 * JavaScript, as Node strips no types under node_modules, and finds the Node it brings.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'

const root = path.resolve(import.meta.dirname, '../..')
const READY_BOUND_MS = 30_000
const POLL_MS = 50
/** As `engines` of package.json says. */
const OLDEST_NODE = 20

// Outside the tree, where nothing can be found by walking up to our own node_modules.
const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-pack-'))
t.teardown(() => rmSync(folder, { recursive: true }))

/** Without what `npm test` tells its scripts about our own package. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|config_local)|^INIT_CWD/.test(name),
  ),
)

t.test('packs what runs, and nothing else', async t => {
  run(t, root, 'npm', 'pack', '--silent', '--pack-destination', folder)
  const listed = run(t, folder, 'tar', '-tzf', packed()).split('\n')
  const files = listed.filter(line => line !== '').map(line => line.replace(/^package\//, ''))
  t.ok(files.includes('dist/main.js'))
  t.ok(files.includes('bin/gatehouse'))
  t.ok(files.includes('dist/client/mod.d.ts'))
  // Started by their path, as test/base/places.test.ts has them.
  for (const name of ['base/io/thread', 'checks/program-child.run']) {
    t.ok(files.includes(`dist/${name}.js`), name)
  }
  const expected = /^(bin|dist|proto|config)\/|^(package\.json|README\.md|LICENSE)$/
  t.same(
    files.filter(file => !expected.test(file)),
    [],
  )
})

t.test('what is emitted loads in a byte for each character, and names its sources', async t => {
  const dist = path.join(root, 'dist')
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  const scripts = files.filter(file => file.endsWith('.js'))
  const wide = scripts.filter(file => {
    return /[^\0-\xff]/.test(readFileSync(path.join(dist, file), 'utf8'))
  })
  t.same(wide, [])
  t.match(readFileSync(path.join(dist, 'main.js'), 'utf8'), '// src/main.ts\n')
})

t.test('installs and starts in an empty folder', async t => {
  run(t, folder, 'npm', 'init', '--yes', '--silent')
  run(t, folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', packed())
  t.match(run(t, folder, 'npx', '--no', 'gatehouse', 'version'), /gatehouse/i)

  const [http, dns, grpc] = [await freePort(), await freePort(), await freePort()]
  writeFileSync(path.join(folder, 'use.mjs'), using)
  const child = spawn(
    'node_modules/.bin/gatehouse',
    [
      'agent',
      '-dev',
      `-http-port=${http}`,
      `-dns-port=${dns}`,
      `-grpc-port=${grpc}`,
      '-server-port=0',
      '-secrets-port=0',
    ],
    { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  t.match(await leaderOf(http, child), /^"127\.0\.0\.1:\d+"$/)
  for (const node of nodes()) t.equal(run(t, folder, node, 'use.mjs', `${grpc}`), 'hello\n', node)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('the client has types for programs that are written in TypeScript', async t => {
  writeFileSync(path.join(folder, 'typed.mts'), typed)
  const tsc = path.join(root, 'node_modules/.bin/tsc')
  const types = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')]
  run(t, folder, tsc, '--noEmit', '--strict', '--module', 'nodenext', ...types, 'typed.mts')
})

/** What a user's program says, in plain JavaScript. */
const using = `import { connect } from 'gatehouse/client'
const client = connect({ servers: ['127.0.0.1:' + process.argv[2]] })
await client.kv.put('greeting', 'hello')
console.log((await client.kv.get('greeting')).value.toString())
await client.close()
`

/** And with types, one of which is wrong. */
const typed = `import { type Change, connect, GatehouseError, type KvEntry } from 'gatehouse/client'
const client = connect({ servers: ['127.0.0.1:8502'], login: { method: 'approle', roleId: 'r' } })
const web = await client.lookup('web', { tags: ['v1'] }).ready()
export const port: number | undefined = web.pick('turn')?.port
for await (const change of client.follow('kv', 'app/')) {
  const one: Change<KvEntry> = change
  if (one.kind === 'removed') break
}
export const fence: number = (await client.lock('leader')).fencingIndex
// @ts-expect-error a port is a number
await client.register({ name: 'web', address: '10.0.0.1', port: 'x' })
export const codeOf = (error: unknown): string => (error instanceof GatehouseError ? error.code : '')
`

/** The Node that the package brings, and the machine's own where it is not too old. */
function nodes(): string[] {
  const own = path.join(folder, 'node_modules/node/bin/node')
  const theirs = ['/usr/bin/node', '/usr/local/bin/node'].filter(file => {
    const { stdout = '' } = spawnSync(file, ['--version'], { encoding: 'utf8' })
    return Number(/^v(\d+)/.exec(stdout ?? '')?.[1]) >= OLDEST_NODE
  })
  return [own, ...theirs]
}

function packed(): string {
  return path.join(folder, readdirSync(folder).find(name => name.endsWith('.tgz')) ?? '')
}

/** Runs a command that must succeed and returns what it prints. */
function run(t: Test, cwd: string, command: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, env, encoding: 'utf8' })
  t.equal(status, 0, `${command} ${words[0]}`, { output: stdout + stderr })
  return stdout
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

/** Asks until the server answers; gives up when it ended or the bound is over. */
async function leaderOf(port: number, child: ChildProcess): Promise<string> {
  const end = performance.now() + READY_BOUND_MS
  while (child.exitCode === null && performance.now() < end) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/status/leader`).catch(() => undefined)
    const text = answer?.ok ? (await answer.text()).trim() : '""'
    if (text !== '""') return text
    await sleep(POLL_MS)
  }
  return `no answer, exit code ${child.exitCode}`
}
