/**
 * The verbs below `audit`: against an agent that records, and on files without any agent.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startDaemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import { freshFolder } from '../fake/folder.ts'
import { call, fakeAgent } from './support.ts'

t.test('an agent that records: search, proof, and the file that its device wrote', async t => {
  const folder = freshFolder(t)
  const config = join(folder, 'audit.hcl')
  const path = join(folder, 'audit.log')
  const sink = `sink "f" { type = "file" path = ${JSON.stringify(path)} }`
  const stanza = `enabled = true allowed_folders = [${JSON.stringify(folder)}] ${sink}`
  writeFileSync(config, `audit { ${stanza} }`)
  const daemon = await startDaemon(t, { engine: 'level', words: [`-config-file=${config}`] })
  const environment = {
    CONSUL_HTTP_ADDR: `127.0.0.1:${daemon.httpPort}`,
    CONSUL_HTTP_TOKEN: 'canary-token',
  }
  const ask = (line: string) => call(line, { environment })
  for (const key of ['a', 'b', 'c']) t.equal((await ask(`kv put app/${key} canary-value`)).code, 0)
  t.match(await ask('kv delete other/x'), { code: 0 })

  const found = await ask('audit search -path=/v1/kv/app/')
  t.match(found, { code: 0, error: '' })
  t.match(found.out, /^Seq +Time +Outcome +Status +Accessor +Operation +Path +Request\n/)
  t.equal(found.out.split('\n').length, 4)
  t.match(found.out, /^3 .* written +200 +anonymous +PUT +\/v1\/kv\/app\/c +\S+-\S+$/m)
  const records = JSON.parse((await ask('audit search -format=json -limit=2')).out)
  t.match(records, [
    { seq: 4, outcome: 'unchanged', operation: 'DELETE /v1/kv/{key}' },
    { seq: 3, outcome: 'written' },
  ])
  const one = await ask(`audit search -request=${records[1].request} -format=json`)
  t.match(JSON.parse(one.out), [{ path: '/v1/kv/app/c' }])
  t.match(await ask('audit search -outcome=refused'), { code: 0, out: 'No records found' })
  t.match(await ask('audit search -from=yesterday'), { code: 1, error: /must be times/ })
  t.match(await ask('audit search x'), { code: 1, error: /Too many arguments/ })

  await until('the file has all', async () => {
    const { out } = await ask('audit verify')
    return /^f +file +4 +0 +none$/m.test(out)
  })
  const proof = await ask('audit verify')
  t.match(proof, { code: 0 })
  t.match(
    proof.out,
    /^The journal is whole\.\n\nRecording {2}on\nRecords {4}4 \(1 to 4\)\nChain +[0-9a-f]{64}\n/,
  )
  t.match(JSON.parse((await ask('audit verify -format=json')).out), { Whole: true, Count: 4 })
  t.notMatch(readFileSync(path, 'utf8'), /canary/)

  const chain = /[0-9a-f]{64}/.exec(proof.out)![0]
  const nobody = { environment: { CONSUL_HTTP_ADDR: '127.0.0.1:1' } }
  const ofFile = await call(`audit verify ${path}`, nobody)
  t.match(ofFile, { code: 0 })
  t.match(ofFile.out, /^Every record is there and as it was written\.\n\nRecords {2}4 \(1 to 4\)/)
  t.ok(ofFile.out.includes(chain), 'the file and the journal end in the same chain')
})

t.test('files: in parts, and what is wrong with them', async t => {
  const folder = freshFolder(t)
  const lines = LINES.trim().split('\n')
  const write = (name: string, some: readonly string[]): string => {
    const path = join(folder, name)
    writeFileSync(path, some.map(line => `${line}\n`).join(''))
    return path
  }
  const whole = [write('1', lines.slice(0, 2)), write('2', lines.slice(2))]
  t.match(await call(['audit', 'verify', ...whole]), { code: 0, out: /3 \(1 to 3\)/ })
  t.match(await call(['audit', 'verify', whole[1]!]), {
    code: 0,
    out: /Record 3 is taken as it stands/,
  })
  const [, chain] = /"chain":"(\w+)"/.exec(lines[1]!)!
  const anchored = await call(['audit', 'verify', `-anchor=2:${chain}`, whole[1]!])
  t.match(anchored, { code: 0 })
  t.notMatch(anchored.out, /taken as it stands/)
  t.match(await call(['audit', 'verify', `-anchor=2:${'0'.repeat(64)}`, whole[1]!]), {
    code: 1,
    out: /record 3 does not fit its chain/,
  })
  t.match(await call(['audit', 'verify', '-anchor=x', whole[1]!]), {
    code: 1,
    error: /-anchor must/,
  })
  const changed = write('changed', lines.with(1, lines[1]!.replace('"b"', '"B"')))
  t.match(await call(['audit', 'verify', changed]), {
    code: 1,
    out: /^Not whole:\n {2}\S+changed:2: record 2 does not fit its chain: it was changed\n/,
  })
  const holed = write('holed', [lines[0]!, lines[2]!])
  t.match(await call(['audit', 'verify', holed]), { code: 1, out: /:2: record 2 is missing/ })
  t.match(JSON.parse((await call(['audit', 'verify', '-format=json', holed])).out), {
    count: 2,
    faults: [/record 2 is missing/],
  })
  t.match(await call(['audit', 'verify', write('empty', [])]), {
    code: 0,
    out: 'There are no records.',
  })
  t.match(await call(['audit', 'verify', join(folder, 'none')]), { code: 1, error: /ENOENT/ })
  t.match(await call(['audit', 'verify', folder]), { code: 1, error: /EISDIR/ })
})

/** Three records as a file has them. */
const LINES = `
{"v":1,"seq":1,"time":"2026-01-01T00:00:00.000Z","server":"s1","path":"a","chain":"82072c09a01456facc6691acce04c38d47c08903b7adac542fd6dc78add5a1ec"}
{"v":1,"seq":2,"time":"2026-01-01T00:00:00.000Z","server":"s1","path":"b","chain":"d60e75d0ded15ac9924ef1308c881b2d013aefb74bd9bdd856afa4a1cb21592e"}
{"v":1,"seq":3,"time":"2026-01-01T00:00:00.000Z","server":"s1","path":"c","chain":"ae664203daeb045ce22ebc55c051a697498d99fb7d9b92d452112fec8d4e165d"}
`

t.test('a journal that is not whole, and sinks that lag', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answer({
    Enabled: true,
    Whole: false,
    Fault: 'record 7 is missing',
    Count: 6,
    First: 1,
    Last: 9,
    Anchor: '0'.repeat(64),
    Chain: 'a'.repeat(64),
    Sinks: [{ Name: 's', Type: 'socket', Sequence: 3, Lag: 6, Fault: 'no route' }],
  })
  const { code, out } = await call(`audit verify -http-addr=${agent.address}`)
  t.equal(code, 1)
  t.match(out, /^The journal is not whole: record 7 is missing\./)
  t.match(out, /^s +socket +3 +6 +no route$/m)
})

t.test('what a client sent is one cell, and turns no terminal', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const record = {
    seq: 1,
    time: 't',
    path: '/v1/kv/\u001b[2J\n\u202e',
    operation: 'PUT /v1/kv/{key}',
  }
  agent.answer({
    Enabled: true,
    Records: [record, { seq: 2, event: 'journal trimmed' }],
    Before: 0,
  })
  const { out } = await call(`audit search -http-addr=${agent.address}`)
  t.notOk(/[\p{Cc}\p{Cf}]/u.test(out.replaceAll('\n', '')))
  t.equal(out.split('\n').length, 3)
  t.match(out, /journal trimmed/)
})
