/**
 * HCL and JSON texts: read, or refused with a place and without a word of the text; JSON as
 * JSON.parse reads it. And configurations: one or a list of problems, never a crash.
 */
import t from 'tap'
import { type ConfigSurroundings, resolveConfig } from '../../src/agent/config.ts'
import { later, served } from '../../src/agent/config-schema.ts'
import { limits } from '../../src/base/limits.ts'
import { HclError, parse } from '../../src/hcl/hcl.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { filesOf, textOf } from '../tidy/source.ts'
import { casesOf } from './cases.ts'
import { mutated, stockOf } from './mutate.ts'

const SECRET = 'kl4bauter'
const hcl = [
  `datacenter = "dc1" # ${SECRET}\nports { http = 8500 dns = -1 }\nservice "web" { port = 0x1f }`,
  `acl { tokens { agent = "${SECRET}" } }\nlist = [1, 2.5, "a\\u00e9\\x41\\101", true,]`,
  `a = <<EOF\n  ${SECRET}\nEOF\nb = <<-X\n  one\n   two\n  X\n`,
  `services { name = "\${${SECRET}}" checks = [{ http = "http://x/", interval = "10s" }] }`,
  '/* a */ node_meta { "rack.1" = "a" }\n// b\nlog_level = "debug", server = true\n',
]
const json = [
  `{"datacenter":"dc1","ports":{"http":8500},"services":[{"name":"${SECRET}","port":1}]}`,
  '{"a":[1,-2.5e3,null,true,{"b":"\\u00e9\\n"}],"a":2}',
]
const tokens = [
  '{',
  '}',
  '[',
  ']',
  '=',
  ',',
  '"',
  '\\',
  '${',
  '<<EOF\n',
  '\nEOF\n',
  '<<-',
  '/*',
  '*/',
]
  .concat(
    '#',
    '//',
    '\n',
    '\r\n',
    '1e999',
    '0x',
    '-',
    '.5',
    'null',
    '"a":',
    'é',
    '\u{1f600}',
    '\ufeff',
  )
  .concat(
    '\\u',
    '\\U0010ffff',
    '\\U00110000',
    '\\x',
    '\\8',
    '__proto__',
    '{{{{{{{{',
    '[[[[[[[[',
    '\0',
  )
const texts = stockOf([...hcl, ...json], tokens)

t.test('any text', async t => {
  const count = await untilBudget(
    'HCL texts',
    1_000_000,
    casesOf({ make: draw => mutated(draw, texts).toString(), run: holdText, show: JSON.stringify }),
  )
  t.ok(count > 0)
})

function holdText(text: string): void {
  for (const format of ['hcl', 'json', 'auto'] as const) {
    const read = readOf(() => parse(text, { format }))
    if (format === 'json') holdJson(text, read)
    if (!(read instanceof HclError)) continue
    const lines = text.split('\n')
    const isInside = read.line >= 1 && read.line <= lines.length && read.column >= 1
    if (!isInside) throw new Error(`line ${read.line}, column ${read.column} of ${lines.length}`)
    if (read.message.includes(SECRET)) throw new Error(`the text is quoted: ${read.message}`)
  }
}

function readOf(read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    if (error instanceof HclError) return error
    throw error
  }
}

function holdJson(text: string, read: unknown): void {
  const wanted = objectOf(text)
  if (wanted === undefined) {
    if (!(read instanceof HclError)) throw new Error('it is no JSON object, and is read')
  } else if (read instanceof HclError) {
    const isBound = /nested deeper|out of range/.test(read.message)
    if (!isBound) throw new Error(`it is JSON, and refused: ${read.message}`)
  } else if (JSON.stringify(read) !== JSON.stringify(wanted)) {
    throw new Error(`read as ${JSON.stringify(read)}`)
  }
}

/** What JSON.parse reads, when that is an object. */
function objectOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

const surroundings: ConfigSurroundings = {
  hostName: 'host',
  interfaces: [],
  workingDir: '/srv',
}
const paths = [...Object.keys(served), ...later.keys()]
const values = [
  'true',
  '0',
  '-1',
  '65536',
  '1e9',
  '"10s"',
  '"0.0.0.0"',
  '"::1"',
  '"a b"',
  '""',
  '[]',
]
  .concat(
    '["a", "b"]',
    '{}',
    '{ a = "b" }',
    '[{}]',
    '"127.0.0.1 127.0.0.2"',
    '"unix:///x"',
    '"etcd"',
  )
  .concat([
    '{ name = "web" check { ttl = "10s" } }',
    '[{ name = "c", http = "x", interval = "1s" }]',
  ])
const configs = stockOf([...hcl, ...json, ...filesOf('config/*.hcl').map(textOf)], tokens)

t.test('any configuration', async t => {
  const make = (draw: Draw): string =>
    draw.chance(40)
      ? mutated(draw, configs).toString()
      : Array.from({ length: 1 + draw.below(4) }, () => setting(draw)).join('\n')
  const count = await untilBudget(
    'configurations',
    300_000,
    casesOf({ make, run: holdConfig, show: JSON.stringify }),
  )
  t.ok(count > 0)
})

/** One key with one value, in the blocks that its path says. */
function setting(draw: Draw): string {
  const [key = '', ...outer] = draw.pick(paths).split('.').reverse()
  return outer.reduce((inner, block) => `${block} { ${inner} }`, `${key} = ${draw.pick(values)}`)
}

function holdConfig(text: string): void {
  const source = { name: 'a.hcl', text, format: 'auto' } as const
  const result = resolveConfig({ texts: [source], flags: [], isDev: false }, surroundings)
  if ('config' in result) {
    const { ports, kvMaxValueSizeBytes } = result.config
    const isFit = Object.values(ports).every(port => port >= -1 && port <= 65_535)
    if (!isFit) throw new Error(`taken with the ports ${JSON.stringify(ports)}`)
    if (kvMaxValueSizeBytes > limits.rowSizeBytes) throw new Error('values larger than a row')
  } else if (result.problems.length === 0) throw new Error('refused without a problem')
}
