/**
 * The verbs of `kv`: what they ask, what they print, and their exit codes, with Consul's texts.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { call, type FakeAgent, fakeAgent, realAgent } from './support.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const entry = (key: string, value: string, more: object = {}): object => ({
  LockIndex: 0,
  Key: key,
  Flags: 0,
  Value: value === '' ? null : base64(value),
  CreateIndex: 336,
  ModifyIndex: 340,
  ...more,
})

async function start(t: Test): Promise<{
  agent: FakeAgent
  kv: (line: string | string[], stdin?: string) => ReturnType<typeof call>
}> {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const environment = { CONSUL_HTTP_ADDR: agent.address }
  const kv = (line: string | string[], stdin = '') => {
    const words = typeof line === 'string' ? line.split(' ') : line
    return call(['kv', ...words], { environment, stdin })
  }
  return { agent, kv }
}

t.test('get', async t => {
  const { agent, kv } = await start(t)
  agent.answer([entry('a/b', 'one two')])
  t.same(await kv('get /a/b'), { code: 0, out: 'one two', error: '' })
  t.match(agent.asked.at(-1), { method: 'GET', url: '/v1/kv/a/b', body: '' })
  t.equal((await kv('get -base64 a/b')).out, base64('one two'))
  agent.answer([entry('empty', '')])
  t.equal((await kv('get empty')).out, '')
  agent.answer('', 404)
  t.same(await kv('get a'), { code: 1, out: '', error: 'Error! No key exists at: a' })
  t.match(await kv('get'), { code: 1, error: 'Error! Missing KEY argument' })
  t.match(await kv('get a b'), { code: 1, error: 'Too many arguments (expected 1, got 2)' })
  agent.answer('Permission denied', 403)
  t.match(await kv('get a'), {
    code: 1,
    error: 'Error querying Consul agent: Unexpected response code: 403 (Permission denied)',
  })
})

t.test('get -detailed keeps every digit', async t => {
  const { agent, kv } = await start(t)
  const text = JSON.stringify([entry('k', 'v', { Session: 's-1' })])
  agent.answer(text.replace('"Flags":0', '"Flags":18446744073709551615'))
  t.equal(
    (await kv('get -detailed k')).out,
    `CreateIndex      336
Flags            18446744073709551615
Key              k
LockIndex        0
ModifyIndex      340
Session          s-1
Value            v`,
  )
})

t.test('get -recurse and -keys', async t => {
  const { agent, kv } = await start(t)
  agent.answer([entry('a', '1'), entry('b', '2\n3')])
  t.equal((await kv('get -recurse')).out, 'a:1\nb:2\n3')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/?recurse=')
  t.equal((await kv('get -recurse -base64 x')).out, `a:${base64('1')}\nb:${base64('2\n3')}`)
  t.match((await kv('get -recurse -detailed x')).out, /Value {12}1\n\nCreateIndex/)
  agent.answer(['a', 'b/'])
  t.equal((await kv('get -keys p')).out, 'a\nb/')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/p?keys=&separator=%2F')
  await kv('get -keys -separator= -stale -datacenter=dc2 p')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/p?dc=dc2&stale=&keys=&separator=')
  agent.answer('', 404)
  t.same(await kv('get -recurse none'), { code: 0, out: '', error: '' })
  t.same(await kv('get -keys none'), { code: 0, out: '', error: '' })
})

t.test('put', async t => {
  const { agent, kv } = await start(t)
  const folder = t.testdir({})
  agent.answer('true')
  t.same(await kv('put a/b c'), { code: 0, out: 'Success! Data written to: a/b', error: '' })
  t.match(agent.asked.at(-1), { method: 'PUT', url: '/v1/kv/a/b', body: 'c' })
  await kv(['put', 'k', ''])
  t.equal(agent.asked.at(-1)?.body, '')
  await kv('put k -5')
  t.equal(agent.asked.at(-1)?.body, '-5')
  await kv('put k -', 'from stdin')
  t.equal(agent.asked.at(-1)?.body, 'from stdin')
  await writeFile(join(folder, 'bytes'), Buffer.from([0, 255]))
  await kv(`put k @${folder}/bytes`)
  t.equal(agent.asked.at(-1)?.body, '\u0000\u00ff')
  await kv(`put -base64 -flags=18446744073709551615 k ${base64('x')}`)
  t.match(agent.asked.at(-1), { body: 'x', url: '/v1/kv/k?flags=18446744073709551615' })
  await kv(['put', 'a//b c/../ü%', 'v'])
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/a%2F%2Fb%20c%2F..%2F%C3%BC%25', 'no tidying up')

  t.equal((await kv('put -cas -modify-index=0 k v')).out, 'Success! Data written to: k')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/k?cas=0')
  t.equal((await kv('put -acquire -session s k v')).out, 'Success! Lock acquired on: k')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/k?acquire=s')
  t.equal((await kv('put -release -session=s k')).out, 'Success! Lock released on: k')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/k?release=s')
})

t.test('put that fails', async t => {
  const { agent, kv } = await start(t)
  agent.answer('false')
  const failures: Record<string, string> = {
    put: 'Error! Missing KEY argument',
    'put a b c': 'Error! Too many arguments (expected 1 or 2, got 3)',
    'put a @/none': 'Error! Failed to read file: ENOENT',
    'put -base64 a !': 'Error! Cannot base 64 decode data',
    'put -acquire a b': 'Error! Missing -session (required with -acquire and -release)',
    'put -cas a b': 'Must specify -modify-index with -cas!',
    'put -cas -modify-index=1 a b': 'Error! Did not write to a: CAS failed',
    'put -acquire -session=s a b': 'Error! Did not acquire lock',
    'put -release -session=s a b': 'Error! Did not release lock',
    'put /a b': "Error! Failed writing data: Invalid key. Key must not begin with a '/': /a",
  }
  for (const [line, text] of Object.entries(failures)) {
    const { code, out, error } = await kv(line)
    t.equal(code, 1, line)
    t.equal(out, '')
    t.match(error, text, line)
  }
  agent.answer('too large', 413)
  t.match(await kv('put a b'), {
    error: 'Error! Failed writing data: Unexpected response code: 413 (too large)',
  })
  t.match(await kv('put -cas -modify-index=1 a b'), {
    error: 'Error! Did not write to a: Unexpected response code: 413 (too large)',
  })
})

t.test('delete', async t => {
  const { agent, kv } = await start(t)
  agent.answer('true')
  t.same(await kv('delete a'), { code: 0, out: 'Success! Deleted key: a', error: '' })
  t.match(agent.asked.at(-1), { method: 'DELETE', url: '/v1/kv/a' })
  t.equal((await kv('delete -recurse a/')).out, 'Success! Deleted keys with prefix: a/')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/a/?recurse=')
  t.equal((await kv('delete -cas -modify-index=5 a')).out, 'Success! Deleted key: a')
  t.equal(agent.asked.at(-1)?.url, '/v1/kv/a?cas=5')
  agent.answer('false')
  const failures: Record<string, string> = {
    delete: 'Error! Missing KEY argument',
    'delete a b': 'Too many arguments (expected 1, got 2)',
    'delete -cas a': 'Cannot delete a key that does not exist.',
    'delete -modify-index=5 a': 'Cannot specify -modify-index without -cas!',
    'delete -cas -modify-index=5 -recurse a': 'Cannot specify both -cas and -recurse!',
    'delete -cas -modify-index=5 a': 'Error! Did not delete key a: CAS failed',
  }
  for (const [line, text] of Object.entries(failures)) {
    t.match(await kv(line), { code: 1, error: text }, line)
  }
  agent.answer('no', 500)
  t.match(await kv('delete -recurse a'), {
    error: 'Error! Did not delete prefix a: Unexpected response code: 500 (no)',
  })
})

t.test('export and import are one another’s inverse', async t => {
  const { agent, kv } = await start(t)
  const folder = t.testdir({})
  const text = JSON.stringify([entry('a', '1'), entry('b', '', { Flags: 7 })])
  agent.answer(text.replace('"Flags":7', '"Flags":9223372036854775808'))
  const exported = (await kv('export a')).out
  t.equal(
    exported,
    '[\n\t{\n\t\t"key": "a",\n\t\t"flags": 0,\n\t\t"value": "MQ=="\n\t},\n' +
      '\t{\n\t\t"key": "b",\n\t\t"flags": 9223372036854775808,\n\t\t"value": ""\n\t}\n]',
  )
  agent.answer('', 404)
  t.equal((await kv('export none')).out, '[]')

  agent.answer('true')
  await writeFile(join(folder, 'dump.json'), exported)
  for (const data of [`@${folder}/dump.json`, '-', exported]) {
    agent.asked.length = 0
    t.same(await kv(['import', data], exported), {
      code: 0,
      out: 'Imported: a\nImported: b',
      error: '',
    })
    t.same(
      agent.asked.map(({ method, url, body }) => [method, url, body]),
      [
        ['PUT', '/v1/kv/a?flags=0', '1'],
        ['PUT', '/v1/kv/b?flags=9223372036854775808', ''],
      ],
    )
  }
  t.equal((await kv(['import', '-prefix=p/', exported])).out, 'Imported: p/a\nImported: p/b')
})

t.test('import that fails', async t => {
  const { agent, kv } = await start(t)
  t.match(await kv('import'), { code: 1, error: 'Error! Missing DATA argument' })
  t.match(await kv(['import', '']), { code: 1, error: 'Error! Empty DATA argument' })
  t.match(await kv('import a b'), { error: 'Error! Too many arguments (expected 1, got 2)' })
  t.match(await kv('import @/none'), { error: 'Error! Failed to read file' })
  for (const data of ['x', '{}', '[{"key":1}]', '[{"key":"a","value":"!"}]', '[null]']) {
    t.match(await kv(['import', data]), { code: 1, error: 'Cannot unmarshal data' }, data)
  }
  agent.answer('full', 500)
  t.match(await kv(['import', '[{"key":"a"}]']), {
    code: 1,
    error: 'Error! Failed writing data for key a: Unexpected response code: 500 (full)',
  })
})

t.test('all of it on a real agent', async t => {
  const { daemon, ask } = await realAgent(t)
  const session = await daemon.ask('PUT', '/v1/session/create', { Name: 'kv' })
  const { ID } = JSON.parse(session.text) as { ID: string }
  const flags = '18446744073709551615'
  const steps: [line: string[], code: number, text: string][] = [
    [['put', `-flags=${flags}`, 'a/one', 'x y'], 0, 'Success! Data written to: a/one'],
    [['get', 'a/one'], 0, 'x y'],
    [['put', '-base64', 'a/two', 'AP8K'], 0, 'Success! Data written to: a/two'],
    [['get', '-base64', 'a/two'], 0, 'AP8K'],
    [['get', '-keys', ''], 0, 'a/'],
    [['get', '-keys', '-separator=', 'a'], 0, 'a/one\na/two'],
    [['put', '-cas', '-modify-index=0', 'a/one', 'z'], 1, 'CAS failed'],
    [['put', '-cas', '-modify-index=0', 'a/three', 'z'], 0, 'Data written to: a/three'],
    [['put', '-acquire', `-session=${ID}`, 'a/lock', 'me'], 0, 'Lock acquired on: a/lock'],
    [['get', '-detailed', 'a/lock'], 0, `Session          ${ID}`],
    [['put', '-release', `-session=${ID}`, 'a/lock', 'me'], 0, 'Lock released on: a/lock'],
    [['put', '-release', `-session=${ID}`, 'a/lock', 'me'], 1, 'Did not release lock'],
    [['delete', '-cas', '-modify-index=1', 'a/one'], 1, 'CAS failed'],
    [['delete', 'a/three'], 0, 'Success! Deleted key: a/three'],
    [['get', 'a/three'], 1, 'Error! No key exists at: a/three'],
    [['get', '-recurse', 'none/'], 0, ''],
  ]
  for (const [words, code, text] of steps) {
    const outcome = await ask(['kv', ...words])
    t.equal(outcome.code, code, words.join(' '))
    t.match(outcome.out + outcome.error, text, words.join(' '))
  }
  const one = JSON.parse((await ask('kv get -format=json a/lock')).out)
  t.match(one, { Key: 'a/lock', LockIndex: 1 })
  const exported = (await ask('kv export a/')).out
  t.match(exported, `"flags": ${flags}`)
  t.match((await ask('kv delete -recurse a/')).out, 'Success! Deleted keys with prefix: a/')
  t.equal((await ask('kv import -prefix=b/ -', exported)).code, 0)
  t.equal((await ask('kv export b/')).out, exported.replaceAll('"a/', '"b/a/'))
})
