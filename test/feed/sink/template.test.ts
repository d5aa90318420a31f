/** Templates: the language, its faults by line, and values that must not break out of a file. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { type QuoteName, quotes } from '../../../src/feed/sink/quote.ts'
import { type Filled, fillTemplate, parseTemplate } from '../../../src/feed/sink/template.ts'
import { viewOf } from '../../../src/feed/sink/view.ts'
import { type Given, stateOf } from './health.ts'

const state = stateOf(
  {
    web: [
      { id: 'a', address: '10.0.0.1', tags: ['v1', 'main'], meta: { zone: 'z1', 'a b': 'c' } },
      { id: 'b', address: '2001:DB8::1', port: 81 },
    ],
    'api.v2': [],
  },
  { 'config/': { 'config/time': '5s', 'config/url': '/x y' } },
)

function fill(template: string, quote: QuoteName = 'word', of = state): Filled | Refusal {
  const read = parseTemplate(template)
  if (read instanceof Refusal) return read
  const { view } = viewOf(of, 'passing')
  return fillTemplate(read, view, quotes[quote])
}

function text(template: string, quote: QuoteName = 'word', of = state): string {
  const filled = fill(template, quote, of)
  return filled instanceof Refusal ? `refused: ${filled.text}` : filled.text
}

t.test('values, sections and names, as written', async t => {
  const cases: [string, string][] = [
    ['plain', 'plain'],
    ['{{#Services}}{{Name}} {{Count}};{{/Services}}', 'web 2;api.v2 0;'],
    [
      '{{#Services[web].Instances}}{{Host}}:{{Port}} {{/Services[web].Instances}}',
      '10.0.0.1:80 [2001:db8::1]:81 ',
    ],
    ['{{^Services[api.v2].Instances}}none{{/Services[api.v2].Instances}}', 'none'],
    ['{{^Services[nobody]}}unknown{{/Services[nobody]}}', 'unknown'],
    [
      '{{#Services[web].Instances}}{{#Meta[zone]}}in {{Meta[zone]}}{{/Meta[zone]}}{{/Services[web].Instances}}',
      'in z1',
    ],
    [
      '{{#Services[web].Instances}}{{#Tags}}{{.}},{{/Tags}}{{/Services[web].Instances}}',
      'v1,main,',
    ],
    [
      '{{#Services[web].Instances}}{{#Tags[main]}}{{ID}}{{/Tags[main]}}{{/Services[web].Instances}}',
      'a',
    ],
    ['{{#Services[web].Instances}}{{#Meta}}{{Key}}|{{/Meta}}{{/Services[web].Instances}}', 'zone|'],
    ['{{KV[config/].Entries[time]}}{{KV[none/].Entries[time]}}', '5s'],
    ['{{{KV[config/].Entries[url]}}}', '/x y'],
    ['{{#KV}}{{#Entries}}{{Name}}={{{Value}}}\n{{/Entries}}{{/KV}}', 'time=5s\nurl=/x y\n'],
    ['a {{! nothing }} b', 'a  b'],
  ]
  for (const [template, wanted] of cases) t.equal(text(template), wanted, template)
})

t.test('a tag that stands alone takes its line with it', async t => {
  const template =
    'begin\n  {{#Services[web].Instances}}\n  - {{ID}}\n  {{/Services[web].Instances}}\n{{! x }}\nend'
  t.equal(text(template), 'begin\n  - a\n  - b\nend')
})

t.test('what is wrong is told by its line', async t => {
  const wrong: [string, RegExp][] = [
    ['a\n{{Nothing}}', /line 2: nothing is called Nothing/],
    ['{{constructor}}', /nothing is called constructor/],
    ['{{Services[web].__proto__}}', /nothing is called __proto__/],
    ['\n\n{{#Services}}', /line 3: \{\{#Services\}\} has no end/],
    ['{{#Services}}\n{{/KV}}', /line 2: \{\{\/KV\}\} ends what did not begin/],
    ['{{Services', /line 1: \{\{ without \}\}/],
    ['{{a b}}', /"a b" is no name/],
    ['{{Services.web}}', /nothing is called web/],
    ['{{#Services}}{{Name[x]}}{{/Services}}', /nothing to look \[x\] up in/],
    ['{{Services}}', /is a list or has parts/],
    ['{{#Services}}'.repeat(40), /too many others/],
  ]
  for (const [template, message] of wrong) t.match(text(template), message, template)
})

t.test('an item whose value cannot stand is left out whole, and told', async t => {
  const hostile = stateOf({ web: [{ id: 'x y' }, { id: 'b' }] })
  const filled = fill(
    '{{#Services[web].Instances}}\n{{ID}}!\n{{/Services[web].Instances}}',
    'word',
    hostile,
  )
  t.match(filled, { text: 'b!\n', problems: [/"x y", which cannot stand/] })
})

t.test('an address that is none is not seen at all', async t => {
  const addresses = [
    'unix@/run/docker.sock',
    '/run/docker.sock',
    'fd@3',
    'a b',
    '0x7f.1',
    '2130706433',
    'fe80::1%eth0',
    '-x',
    'a..b',
    '[::1]',
  ]
  const { view, problems } = viewOf(
    stateOf({ web: addresses.map((address, i) => ({ id: `${i}`, address })) }),
    'passing',
  )
  t.match(view, { Services: { items: [{ Count: 0 }] } })
  t.equal(problems.length, addresses.length)
})

t.test('a file larger than it may be is refused, not made', async t => {
  const many = Array.from({ length: 3_000 }, (_, i) => ({ id: `${i}` }))
  const nested = '{{#Services[web].Instances}}'
  const end = '{{/Services[web].Instances}}'
  const template = `${nested}${nested}${'x'.repeat(100)}${end}${end}`
  t.match(text(template, 'word', stateOf({ web: many })), /would be larger than/)
  t.match(parseTemplate('x'.repeat(limits.sinkFileSizeBytes + 1)), { status: 413 })
})

/** Texts that try to get out of what surrounds them. */
const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    'a\nb',
    "a'; rm -rf /",
    '"}',
    '$(id)',
    '`id`',
    '{{Name}}',
    ';',
    '\u2028',
    '\\',
    '\r',
    '#',
  ),
)

t.test('no value breaks out of its quotes', async t => {
  const instance: fc.Arbitrary<Given> = fc.record({
    id: hostileText.filter(id => id !== ''),
    tags: fc.array(hostileText, { maxLength: 3 }),
    meta: fc.dictionary(hostileText, hostileText, { maxKeys: 3 }),
  })
  const template =
    '{{#Services[web].Instances}}\n<{{ID}}|{{#Tags}}{{.}},{{/Tags}}>\n{{/Services[web].Instances}}'
  fc.assert(
    fc.property(fc.array(instance, { maxLength: 4 }), list => {
      const of = stateOf({ web: list })
      for (const line of text(template, 'word', of).split('\n').filter(Boolean)) {
        t.match(line, /^<[A-Za-z0-9_.:@/+=,~-]+\|[A-Za-z0-9_.:@/+=,~-]*>$/)
      }
      const lines = text(template, 'line', of)
      t.notMatch(lines, /[^\P{Cc}\n]|[\u2028\u2029]/u)
      t.ok(
        lines
          .split('\n')
          .filter(Boolean)
          .every(line => line.startsWith('<') && line.endsWith('>')),
      )
    }),
    { numRuns: 60 },
  )
})

t.test('JSON gives back what was put in, and so do words of a shell', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), value => {
      t.equal(JSON.parse(`"${quotes.json(value)}"`), value)
      const word = quotes.shell(value)
      const isWord = value.includes('\0') || /^'([^']|'\\'')*'$/.test(word ?? '')
      t.ok(isWord)
    }),
  )
})

t.test('the example of the page', async t => {
  const page = readFileSync(path.join(import.meta.dirname, '../../../docs/sinks-kinds.md'), 'utf8')
  const [, template = ''] = /^## Templates$.*?^```\n(.*?)^```$/ms.exec(page) ?? []
  const list = [
    { id: 'a', address: '10.0.0.1' },
    { id: 'b', address: '::1', tags: ['spare'] },
  ]
  const of = (web: Given[]) => stateOf({ web }, { 'lb/': { 'lb/timeout': '5s' } })
  t.equal(
    text(template, 'word', of(list)),
    '# \nbackend web\n  server a 10.0.0.1:80 weight 1\n  server b [::1]:80 weight 1 backup\ntimeout server 5s\n',
  )
  t.match(text(template, 'word', of([])), /backend web\n {2}# there is nobody\ntimeout/)
})
