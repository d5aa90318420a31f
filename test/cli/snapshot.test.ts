/**
 * The verbs below `snapshot`: files that are whole or not there, and what lies in them.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fromText } from '../../src/base/bytes.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { saveSnapshot } from '../../src/store/snapshot.ts'
import { put } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { call, type FakeAgent, fakeAgent, type Outcome, realAgent } from './support.ts'

/** The archive of a store with these keys. */
async function archiveOf(keys: Readonly<Record<string, number>>): Promise<Buffer> {
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  for (const [key, sizeBytes] of Object.entries(keys)) {
    const row = { value: Buffer.alloc(sizeBytes, 'x'), flags: 0n, session: '', lockIndex: 0 }
    await store.write(() => ({ txn: [put(kv, fromText(key), row)], answer: undefined }))
  }
  const chunks: Buffer[] = []
  for await (const chunk of saveSnapshot(store, tables)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function start(
  t: Test,
): Promise<{ agent: FakeAgent; file: string; ask: (line: string) => Promise<Outcome> }> {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const environment = { CONSUL_HTTP_ADDR: agent.address }
  const file = join(t.testdir({}), 'backup.snap')
  return { agent, file, ask: line => call(line, { environment }) }
}

t.test('save: the file is the whole archive, for its owner alone', async t => {
  const { agent, file, ask } = await start(t)
  const archive = await archiveOf({ a: 10 })
  agent.answer(archive.toString('latin1'), 200, { 'X-Consul-Index': '4242' })
  t.same(await ask(`snapshot save -stale ${file}`), {
    code: 0,
    out: 'Saved and verified snapshot to index 4242',
    error: '',
  })
  t.equal(agent.asked.at(-1)?.url, '/v1/snapshot?stale=')
  t.same(readFileSync(file), archive)
  t.equal(statSync(file).mode & 0o777, 0o600)
  agent.answerOn('/v1/agent/self', {
    Config: { Version: '1.21.4', Datacenter: 'dc1', NodeName: 'n1' },
    Stats: { consul: { leader: 'true' } },
  })
  await ask(`snapshot save -append-filename=version,dc,node,status ${file}`)
  t.ok(existsSync(file.replace('.snap', '-1.21.4-dc1-n1-leader.snap')))
  t.match(await ask(`snapshot save -append-filename=secrets ${file}`), {
    code: 1,
    error: '-append-filename takes version, dc, node and status',
  })
})

t.test('save: what is not whole leaves the old file as it was', async t => {
  const { agent, file, ask } = await start(t)
  const archive = await archiveOf({ a: 10_000 })
  writeFileSync(file, 'old')
  for (const bytes of [archive.subarray(0, archive.length / 2), Buffer.from('nonsense')]) {
    agent.answer(bytes.toString('latin1'))
    t.match(await ask(`snapshot save ${file}`), { code: 1, error: 'Error saving snapshot: ' })
    t.equal(readFileSync(file, 'utf8'), 'old')
    t.notOk(existsSync(`${file}.unverified`))
  }
  agent.answer('Permission denied', 403)
  t.match(await ask(`snapshot save ${file}`), {
    code: 1,
    error: 'Error saving snapshot: Unexpected response code: 403 (Permission denied)',
  })
  t.match(await ask('snapshot save'), { code: 1, error: 'Missing FILE argument' })
  t.match(await ask('snapshot save a b'), { code: 1, error: 'Too many arguments (expected 1, got' })
})

t.test('restore: the bytes of the file, or of stdin', async t => {
  const { agent, file, ask } = await start(t)
  const archive = await archiveOf({ a: 200_000 })
  writeFileSync(file, archive)
  t.same(await ask(`snapshot restore ${file}`), { code: 0, out: 'Restored snapshot', error: '' })
  t.match(agent.asked.at(-1), {
    method: 'PUT',
    url: '/v1/snapshot',
    headers: { 'content-length': String(archive.length) },
    body: archive.toString('latin1'),
  })
  const environment = { CONSUL_HTTP_ADDR: agent.address }
  t.equal((await call('snapshot restore -', { environment, stdin: 'bytes' })).code, 0)
  t.equal(agent.asked.at(-1)?.body, 'bytes')
  agent.answer('failed to decompress snapshot: gzip: invalid header', 500)
  t.match(await ask(`snapshot restore ${file}`), {
    code: 1,
    error: 'Error restoring snapshot: Unexpected response code: 500 (failed to decompress',
  })
  t.match(await ask('snapshot restore /none/such'), {
    code: 1,
    error: 'Error opening snapshot file: ENOENT',
  })
})

t.test('inspect: what lies in it, as Consul shows it', async t => {
  const { file, ask } = await start(t)
  writeFileSync(file, await archiveOf({ 'a/b/c': 1_024, 'a/b/d': 1_024, 'a/x': 100, top: 5 }))
  const { out, code, error } = await ask(`snapshot inspect -kvdetails ${file}`)
  t.same([code, error], [0, ''])
  const [, id = '', size = '', index = ''] =
    /^ ID {11}(\S+)\n Size {9}(\d+)\n Index {8}(\d+)\n Term {9}1\n Version {6}1\n\n/.exec(out) ?? []
  t.match(id, /^1-\d+$/)
  t.equal(
    out.slice(out.indexOf(' Type')),
    ` Type       Count      Size
 ----       ----       ----
 kv         4          2.3KB
 ----       ----       ----
 Total                 2.3KB

 Key Name      Count      Size
 ----          ----       ----
 a/b           2          2.1KB
 a/x           1          140B
 top           1          45B
 ----          ----       ----
 Total                    2.3KB`,
  )
  const json = JSON.parse((await ask(`snapshot inspect -format=json ${file}`)).out)
  t.match(json, { Meta: { ID: id, Size: Number(size), Index: Number(index), Version: 1 } })
  t.match(json.Stats, [{ Name: 'kv', Count: 4, Sum: json.TotalSize }])
  t.equal(json.StatsKV, undefined)
  const deep = await ask(`snapshot inspect -kvdetails -kvdepth=1 -kvfilter=a/ ${file}`)
  t.match(deep.out, /^ a {13}3 {10}2\.2KB$/m)
  t.notMatch(deep.out, ' top')
})

t.test('inspect: what is none of ours is said', async t => {
  const { file, ask } = await start(t)
  const archive = await archiveOf({ a: 10 })
  for (const bytes of [archive.subarray(0, archive.length - 20), Buffer.from('x')]) {
    writeFileSync(file, bytes)
    t.match(await ask(`snapshot inspect ${file}`), {
      code: 1,
      out: '',
      error: /^Error reading snapshot: failed to /,
    })
  }
  t.match(await ask('snapshot inspect /none/such'), {
    code: 1,
    error: 'Error opening snapshot file: ENOENT',
  })
  t.match(await ask('snapshot decode x'), { code: 1, error: 'not served: snapshot decode' })
})

t.test('saved from an agent, restored on another', async t => {
  const file = join(t.testdir({}), 'backup.snap')
  const [from, to] = [await realAgent(t), await realAgent(t)]
  await from.ask('kv put kept here')
  await to.ask('kv put lost there')
  t.match((await from.ask(`snapshot save ${file}`)).out, /^Saved and verified .* index \d+$/)
  t.match((await from.ask(`snapshot inspect ${file}`)).out, /^ kv +1 +\d+B$/m)
  t.equal((await to.ask(`snapshot restore ${file}`)).out, 'Restored snapshot')
  t.equal((await to.ask('kv get kept')).out, 'here')
  t.equal((await to.ask('kv get lost')).code, 1)
  writeFileSync(file, 'nonsense')
  t.match(await to.ask(`snapshot restore ${file}`), { code: 1, error: 'gzip: invalid header' })
  t.equal((await to.ask('kv get kept')).out, 'here')
})

t.test('verify: says of each file whether it is whole', async t => {
  const { file, ask } = await start(t)
  writeFileSync(file, await archiveOf({ a: 10, b: 20 }))
  t.match(await ask(`snapshot verify ${file}`), { code: 0, out: /: whole, 2 rows to index \d+$/ })
  const damaged = `${file}.damaged`
  writeFileSync(damaged, readFileSync(file).subarray(0, -30))
  t.match(await ask(`snapshot verify ${file} ${damaged} ${file}.none`), {
    code: 1,
    out: /whole/,
    error: /damaged: failed to decompress.*\n.*none: failed to read snapshot: ENOENT/,
  })
  t.match(await ask('snapshot verify'), { code: 1, error: /Missing FILE/ })
})
