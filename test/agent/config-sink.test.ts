/** Blocks `sink` of a configuration: where they may stand, and what is told of a wrong one. */
import t from 'tap'
import { resolveConfig } from '../../src/agent/config.ts'
import { prepareSinks } from '../../src/agent/config-sink.ts'

const machine = { hostName: 'alpha', interfaces: [], workingDir: '/' }

const read = (text: string, format: 'hcl' | 'json' = 'hcl') => {
  const texts = [{ name: `a.${format}`, text, format }]
  const result = resolveConfig({ texts, flags: [], isDev: true }, machine)
  return 'problems' in result ? result.problems : result.config.sinks
}

const SETTINGS = 'settings { path = "/tmp/x" template = "x" }'

t.test('in HCL and in JSON, one and several', async t => {
  const hcl = `
    sink "a" { kind = "file" services = ["web"] ${SETTINGS} }
    sink "b" { kind = "webhook" kv = ["a/"] settings { url = "http://h/" headers { A = "b" } } }`
  t.match(read(hcl), [
    { name: 'a', kind: { kind: 'file' }, services: ['web'], settings: { path: '/tmp/x' } },
    { name: 'b', kv: ['a/'], settings: { headers: { A: 'b' } } },
  ])
  const json = {
    sink: { a: { kind: 'file', services: ['web'], settings: { path: '/tmp/x', template: 'x' } } },
  }
  t.match(read(JSON.stringify(json), 'json'), [{ name: 'a', services: ['web'] }])
  t.match(read(`server = false\nretry_join = ["127.0.0.1:1"]\n${hcl}`), [{ name: 'a' }, {}])
  t.same(read(''), [])
})

const mistakes: readonly [text: string, ...problems: RegExp[]][] = [
  [
    `sink "a" {\n kind = "file"\n services = ["web"]\n colour = "red"\n ${SETTINGS} }`,
    /^a.hcl:4: sink: colour: unknown setting/,
  ],
  ['sink "a" { kind = "none" services = ["web"] }', /^a.hcl:1: sink: kind: must be one of hap/],
  ['sink "a" { kind = "file" services = ["web"] }', /settings.path: is missing/],
  ['sink = 7', /^a.hcl:1: sink: must be blocks with a name: sink "name"/],
  ['sink { kind = "file" }', /a sink has a name/],
  [
    `sink "a" { kind = "file" services = ["web"] ${SETTINGS} }
     sink "a" { kind = "file" services = ["web"] ${SETTINGS} }`,
    /sink: each name stands once/,
  ],
]

t.test('what is wrong is told with its place', async t => {
  for (const [text, ...expected] of mistakes) {
    const problems = read(text)
    for (const [at, one] of expected.entries()) t.match(problems[at], one, text)
  }
})

t.test('files that sinks stand on are read with the configuration', async t => {
  const text = `sink "a" { kind = "file" services = ["web"]
    settings { path = "/tmp/x" template_file = "/t" } }`
  const tasks = read(text) as Parameters<typeof prepareSinks>[0]
  const one = await prepareSinks(tasks, async () => 'one')
  const other = await prepareSinks(tasks, async () => 'other')
  t.same([one.problems, one.tasks.length], [[], 1])
  t.not(one.tasks[0]?.words, other.tasks[0]?.words, 'another template is another sink')
  const missing = await prepareSinks(tasks, async () => {
    throw new Error('ENOENT: no such file')
  })
  t.match(missing.problems, [/^sink "a": .*no such file/])
  const wrong = await prepareSinks(tasks, async () => '{{/a}}')
  t.match(wrong.problems, [/^sink "a": /])
})
