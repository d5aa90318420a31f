/**
 * How answers are printed: tables, JSON, YAML, one field.
 */
import { mock } from 'node:test'
import t from 'tap'
import { Flags } from '../../../src/cli/command.ts'
import { goText, secondsText, timeText } from '../../../src/cli/secrets/values.ts'
import { yamlText } from '../../../src/cli/secrets/yaml.ts'
import { enveloped } from '../../fake/secrets-server.ts'
import { onServer, table } from './support.ts'

t.test('a secret as a table', async t => {
  const { ask, server } = await onServer(t)
  const data = { name: 'a b', ttl: 5400, list: ['x', 1], map: { b: null, a: true }, empty: '' }
  server.on('GET sys/x', enveloped(data, { lease_duration: 2_764_800 }))
  t.equal(
    (await ask('read sys/x')).out,
    table(`
    Key                 Value
    ---                 -----
    refresh_interval    768h
    empty               n/a
    list                [x 1]
    map                 map[a:true b:<nil>]
    name                a b
    ttl                 1h30m
    `),
  )
})

t.test('a lease, a token and a wrapped answer as tables', async t => {
  const { ask, server } = await onServer(t)
  const lease = { lease_id: 'database/creds/a/1', lease_duration: 60, renewable: true }
  server.on('GET sys/lease', enveloped({ user: 'u' }, lease))
  t.match(
    (await ask('read sys/lease')).out,
    /lease_id +database\/creds\/a\/1\nlease_duration +1m\n/,
  )
  const auth = {
    client_token: 'hvs.new',
    accessor: 'acc',
    policies: ['default', 'web'],
    token_policies: ['default', 'web'],
    metadata: { b: '2', a: '1' },
    lease_duration: 0,
    renewable: false,
  }
  server.on('PUT sys/login', enveloped(null, { auth }))
  const shown = Buffer.from((await ask('write -force sys/login')).out, 'latin1').toString('utf8')
  t.equal(
    shown,
    table(`
    Key                  Value
    ---                  -----
    token                hvs.new
    token_accessor       acc
    token_duration       ∞
    token_renewable      false
    token_policies       ["default" "web"]
    identity_policies    []
    policies             ["default" "web"]
    token_meta_a         1
    token_meta_b         2
    `),
  )
  const wrap_info = {
    token: 'hvs.wrap',
    accessor: 'w',
    ttl: 120,
    creation_time: '2026-01-02T03:04:05.6Z',
    creation_path: 'sys/x',
  }
  server.on('GET sys/wrap', enveloped(null, { wrap_info }))
  t.match(
    (await ask('read -wrap-ttl=2m sys/wrap')).out,
    /_token: +hvs\.wrap\n[\s\S]*_ttl: +2m\n[\s\S]*_time: +2026-01-02 03:04:05\.6 \+0000 UTC\n/,
  )
  t.equal((await ask('read -field=wrapping_token sys/wrap')).out, 'hvs.wrap')
})

t.test('JSON keeps the order of the envelope, and all digits', async t => {
  const { ask, server } = await onServer(t)
  const text = JSON.stringify(enveloped({ b: 1, a: 'WIDE' })).replace(
    '"WIDE"',
    '12345678901234567890',
  )
  server.on('GET sys/x', text)
  const { out } = await ask('read -format=json sys/x')
  t.match(out, '    "a": 12345678901234567890,\n    "b": 1')
  t.same(Object.keys(JSON.parse(out)), [
    'request_id',
    'lease_id',
    'lease_duration',
    'renewable',
    'data',
    'warnings',
    'mount_type',
  ])
  const again = await ask('read sys/x', { environment: { VAULT_FORMAT: 'JSON' } })
  t.equal(again.out, out)
  t.equal((await ask('read -field=a sys/x')).out, '12345678901234567890')
  t.equal((await ask('read -format=raw sys/x')).out, text)
  t.match(await ask('read -format=pretty sys/x'), { code: 1, error: 'cannot use the pretty' })
})

t.test('one field', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/x', enveloped({ s: 'text', m: { a: 1 }, constructor: 'c' }))
  t.equal((await ask('read -field=s sys/x')).out, 'text')
  t.equal((await ask('read -field=m sys/x')).out, 'map[a:1]')
  t.equal((await ask('read -field=m -format=json sys/x')).out, '{\n  "a": 1\n}')
  t.equal((await ask('read -field=s -format=json sys/x')).out, '"text"')
  t.equal((await ask('read -field=m -format=yaml sys/x')).out, 'a: 1')
  t.equal((await ask('read -field=constructor sys/x')).out, 'c')
  const none = { code: 1, out: '', error: 'Field "toString" not present in secret' }
  t.same(await ask('read -field=toString sys/x'), none)
})

t.test('warnings go to stderr', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/x', enveloped({ a: 1 }, { warnings: ['first', 'second'] }))
  const { out, error } = await ask('read -field=a sys/x')
  t.equal(out, '1')
  t.match(error, 'warnings were returned from Vault:\n\n  * first\n\n  * second\n')
  t.equal((await ask('read -format=json -field=a sys/x')).error, '')
})

t.test('lists', async t => {
  const { ask, server } = await onServer(t)
  const key_info = { a: { ttl: 60, kind: 'x' }, 'b/': { kind: 'y' } }
  server.on('GET sys/l', enveloped({ keys: ['b/', 'a'], key_info }))
  t.equal((await ask('list sys/l')).out, 'Keys\n----\na\nb/')
  t.equal(
    (await ask('list -detailed sys/l')).out,
    table(`
    Keys    kind    ttl
    ----    ----    ---
    a       x       1m
    b/      y       n/a
    `),
  )
  t.same(JSON.parse((await ask('list -format=json sys/l')).out), ['b/', 'a'])
  const all = await ask('list -format=json sys/l', { environment: { BAO_DETAILED: '1' } })
  t.match(JSON.parse(all.out), { data: { key_info } })
  t.same(await ask('list sys/none'), { code: 2, out: '', error: 'No value found at sys/none' })
  t.same(await ask('list -format=json sys/none'), { code: 2, out: '{}', error: '' })
  server.on('GET sys/odd', enveloped({ other: 1 }))
  t.match(await ask('list sys/odd'), { code: 2, error: 'No entries found at sys/odd' })
  server.taken()
  await ask('list -after=a -limit=2 sys/l')
  await ask('scan sys/l')
  t.same(server.taken(), ['GET sys/l?list=true&after=a&limit=2', 'GET sys/l?scan=true'])
})

t.test('values as Go prints them', async t => {
  t.equal(goText({ b: [1, null, 'x'], a: {} }), 'map[a:map[] b:[1 <nil> x]]')
  t.same([0, 59, 60, 3600, 3601, 90_061].map(secondsText), [
    '0s',
    '59s',
    '1m',
    '1h',
    '1h1s',
    '25h1m1s',
  ])
  t.equal(secondsText('soon'), 'soon')
  t.equal(secondsText(1.5), '1.5')
  t.equal(timeText('2026-01-02T03:04:05+01:00'), '2026-01-02 03:04:05 +0100 +0100')
  t.equal(timeText('never'), 'never')
})

t.test('YAML', async t => {
  const cases: [unknown, string][] = [
    [
      { b: 1, a: ['x', { c: true, d: null }, []], e: {} },
      'a:\n- x\n- c: true\n  d: null\n- []\nb: 1\ne: {}',
    ],
    [{ m: { n: { o: 'p' } } }, 'm:\n  "n":\n    o: p'],
    [[[1, 2], [3]], '- - 1\n  - 2\n- - 3'],
    [{ l: [[1], { a: [2] }] }, 'l:\n- - 1\n- a:\n  - 2'],
    ['', '""'],
    ['two words', 'two words'],
    ['yes', '"yes"'],
    ['e0', '"e0"'],
    [[5e-324, 1e21, 1.5], '- 5.0e-324\n- 1.0e+21\n- 1.5'],
    ['1', '"1"'],
    ['a: b', '"a: b"'],
    ['a #b', '"a #b"'],
    [' a', '" a"'],
    ['line\nend', String.raw`"line\nend"`],
    ['\u2028\u0085', String.raw`"\u2028\u0085"`],
    [12345678901234567890n, '12345678901234567890'],
  ]
  for (const [value, text] of cases) t.equal(yamlText(value), text)
})

t.test('on a terminal a field ends its line', async t => {
  const { printField } = await import('../../../src/cli/secrets/output.ts')
  const [print, write] = [mock.fn<(text: string) => void>(), mock.fn<(bytes: Uint8Array) => void>()]
  const io = { print, write, environment: {}, isTerminal: true }
  const call = { program: 'vault', flags: new Flags([]), args: [], io }
  t.equal(printField(call as never, { a: 'x' }, 'a'), 0)
  t.same(print.mock.calls[0]?.arguments, ['x'])
  t.equal(write.mock.callCount(), 0)
})
