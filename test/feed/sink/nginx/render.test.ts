/** The file of upstreams: tables, and names that must not break out of it. */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../../src/base/errors.ts'
import { nginxSink } from '../../../../src/feed/sink/nginx/nginx.ts'
import type { NginxWanted } from '../../../../src/feed/sink/nginx/render.ts'
import { fileText } from '../../../../src/feed/sink/nginx/target.run.ts'
import { type Given, stateOf } from '../health.ts'
import { settingsOf, wantedOf } from '../world.ts'

const path = '/etc/nginx/gatehouse.conf'
const settings = (given: Record<string, unknown> = {}) => settingsOf(nginxSink, { path, ...given })

/** The lines of the blocks, and what was left out. */
function rendered(list: readonly Given[], given: Record<string, unknown> = {}) {
  const wanted = wantedOf(nginxSink, settings(given), stateOf({ web: list }))
  const { blocks } = wanted.what as NginxWanted
  const lines = blocks.flatMap(({ text }) => text.split('\n').map(line => line.trim()))
  return { lines: lines.filter(line => /^(server|zone|least|keep)/.test(line)), wanted }
}

const usual = 'max_fails=1 fail_timeout=10s'

t.test('servers of every kind', async t => {
  const weights = { Passing: 5, Warning: 0 }
  const { lines, wanted } = rendered(
    [
      { id: 'a', address: '10.0.0.1', weights },
      { id: 'b', address: '2001:db8::2', port: 81, status: 'critical' },
      { id: 'c', address: '10.0.0.3', tags: ['spare'] },
      { id: 'd', address: '10.0.0.4', status: 'warning', weights },
      { id: 'e', address: 'web.example', port: 1 },
      { id: 'f', address: '10.0.0.6', port: 0 },
    ],
    { backup_tag: 'spare', balance: 'least_conn', keepalive: 8 },
  )
  t.same(lines, [
    'zone gatehouse_web 64k;',
    'least_conn;',
    `server 10.0.0.1:80 weight=5 ${usual};`,
    `server [2001:db8::2]:81 ${usual} down;`,
    `server 10.0.0.3:80 ${usual} backup;`,
    `server 10.0.0.4:80 ${usual} down;`,
    'keepalive 8;',
  ])
  t.match(wanted.problems, [/"e" on node "n1"/, /"f" on node/])
})

t.test('failing ones may be left out, and host names be taken', async t => {
  const list = [
    { id: 'a', address: 'web.example' },
    { id: 'b', address: '10.0.0.2', status: 'critical' },
  ]
  t.same(rendered(list, { names: true, failing: 'omit', zone: '' }).lines, [
    `server web.example:80 ${usual};`,
  ])
})

t.test('nobody is left: a server that answers nobody', async t => {
  const given = { on_empty: 'apply', zone: '' }
  t.same(rendered([], given).lines, ['server 127.0.0.1:9 down;'])
  const spare = [{ id: 'a', address: '10.0.0.1', tags: ['spare'] }]
  t.same(rendered(spare, { ...given, backup_tag: 'spare' }).lines, [
    'server 127.0.0.1:9 down;',
    `server 10.0.0.1:80 ${usual} backup;`,
  ])
})

t.test('one place registered twice stands once, as the one that may be used', async t => {
  const list = [
    { id: 'a', address: '10.0.0.1', status: 'critical' },
    { id: 'b', address: '10.0.0.1' },
  ]
  t.same(rendered(list, { zone: '' }).lines, [`server 10.0.0.1:80 ${usual};`])
})

t.test(
  'the block of a held service is the one of the file, unless somebody changed it',
  async t => {
    const want = (list: readonly Given[]) =>
      (wantedOf(nginxSink, settings(), stateOf({ web: list, api: [{}] })).what as NginxWanted)
        .blocks
    const before = fileText(want([{ address: '10.0.0.1' }]), '')
    const after = fileText(want([]), before)
    t.equal(after, before)
    t.match(fileText(want([]), ''), /127\.0\.0\.1:9 down/)
    t.match(fileText(want([]), before.replace('10.0.0.1', '10.6.6.6')), /127\.0\.0\.1:9 down/)
  },
)

t.test('names of upstreams', async t => {
  const one = (service: string, upstreams = {}) =>
    nginxSink.want(settings({ upstreams }), stateOf({ [service]: [{}] }), undefined)
  t.notOk(one('web') instanceof Refusal)
  t.match(one('a b; }'), { text: /needs a name that nginx can take/ })
  t.notOk(one('a b; }', { 'a b; }': 'ab' }) instanceof Refusal)
  const both = stateOf({ a: [{}], b: [{}] })
  t.match(nginxSink.want(settings({ upstreams: { a: 'b' } }), both, undefined), {
    text: /two services/,
  })
  t.throws(() => settings({ upstreams: { a: 'x;y' } }), /no name of an upstream/)
  t.throws(() => settings({ upstreams: { a: 'x', b: 'x' } }), /once/)
  t.throws(() => settings({ zone: '1k; x' }), /zone/)
  t.throws(() => settings({ balance: 'ip_hash', backup_tag: 'x' }), /backup_tag/)
})

t.test('whatever is registered, each line is one of ours', async t => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      '127.0.0.1;}',
      '10.0.0.1\n}',
      'unix:/run/x',
      '10.0.0.1 backup',
      '$host',
      '[::1]',
      'a{b',
    ),
    fc.ipV4(),
    fc.ipV6(),
  )
  const instance: fc.Arbitrary<Given> = fc.record({
    id: text.filter(one => one !== ''),
    address: text,
    nodeAddress: text,
    port: fc.nat({ max: 70_000 }),
    tags: fc.array(text, { maxLength: 2 }),
    status: fc.constantFrom('passing', 'warning', 'critical', 'odd'),
  })
  fc.assert(
    fc.property(fc.array(instance, { maxLength: 5 }), fc.boolean(), (list, names) => {
      const wanted = nginxSink.want(
        settings({ names, on_empty: 'apply', backup_tag: 'b' }),
        stateOf({ web: list }),
        undefined,
      )
      if (wanted instanceof Refusal) return t.fail(wanted.text)
      const { blocks } = wanted.what as NginxWanted
      t.match(
        blocks[0]?.text,
        /^upstream web \{\n {4}zone gatehouse_web 64k;\n( {4}server (\[[0-9a-f:.]+\]|[A-Za-z0-9_.-]+):\d+( [a-z_]+(=\d+s?)?)*;\n)+\}\n$/,
      )
    }),
    { numRuns: 200 },
  )
})
