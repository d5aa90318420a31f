/**
 * The command line as a whole: verbs, help, the dialect of flags, exit codes.
 */
import t from 'tap'
import { productVersion } from '../../src/base/version.ts'
import { parseWords } from '../../src/cli/parse.ts'
import { laterVerbs, neverVerbs, verbs } from '../../src/cli/run.ts'
import { call } from './support.ts'

t.test('no verb, unknown verbs and half of one', async t => {
  for (const line of ['', 'nonsense', 'constructor', 'kvget']) {
    const { code, out, error } = await call(line)
    t.equal(code, 127, line)
    t.equal(out, '')
    t.match(error, /Usage: gatehouse <verb>[\s\S]* {2}agent +runs an agent/)
  }
  const half = await call('kv')
  t.equal(half.code, 1)
  t.match(half.error, 'kv get')
  t.notMatch(half.error, 'members')
  for (const line of ['-h', '--help', 'kv -help']) t.equal((await call(line)).code, 0, line)
})

t.test('every verb has help, with single dashes', async t => {
  for (const name of Object.keys(verbs)) {
    for (const flag of ['-h', '-help', '--help']) {
      const { code, out } = await call(`${name} ${flag}`)
      t.equal(code, 0, `${name} ${flag}`)
      t.match(out, `Usage: gatehouse ${name} `)
      t.notMatch(out, / --\w/)
    }
    const { out } = await call(`${name} -h`)
    const command = await verbs[name]?.load()
    t.ok(command !== undefined && command.examples.length > 0, `${name} has examples`)
    for (const example of command?.examples ?? []) {
      t.match(out, `  $ gatehouse ${name} ${example}`.trimEnd())
      const words = [...example.matchAll(/[^\s'"]*(?:'[^']*'|"[^"]*")?[^\s'"]*/g)]
        .map(([word]) => word.replace(/['"]/g, ''))
        .filter(word => word !== '')
      const parsed = command && parseWords(name, command, words)
      t.equal(parsed?.kind, 'call', `${name} ${example}`)
    }
  }
  const { out } = await call('kv get -h')
  t.match(out, /\n {2}-recurse +print all/)
  t.match(out, /\n {2}-separator=<value> +with -keys/)
})

t.test('verbs that come later say so', async t => {
  for (const [name, step] of Object.entries(laterVerbs)) {
    const error = `not served yet: ${name} (${step})`
    t.same(await call(`${name} x -y`), { code: 1, out: '', error })
  }
  for (const [name, why] of Object.entries(neverVerbs)) {
    t.same(await call(`${name} x`), { code: 1, out: '', error: `not served: ${name} (${why})` })
  }
})

t.test('version, under either name', async t => {
  t.match((await call('version')).out, `gatehouse v${productVersion}\n`)
  t.match((await call('-version')).out, `gatehouse v${productVersion}\n`)
  t.match((await call('--version', { program: 'consul' })).out, /^Consul v1\.\d+\.\d+\n/)
  t.match(JSON.parse((await call('version -format=json')).out), { Version: productVersion })
})

t.test('the dialect of flags', async t => {
  const refused: Record<string, string> = {
    'kv get -foo x': "unknown option '-foo'\nSee: gatehouse kv get -help",
    'kv get -separator': "option '-separator <value>' argument missing",
    'kv get -recurse=maybe x': 'invalid value "maybe" for flag -recurse',
    'kv put -flags=x a b': 'invalid value "x" for flag -flags',
    'kv get a -recurse': 'Too many arguments (expected 1, got 2)',
    'kv get -- -a b': 'Too many arguments (expected 1, got 2)',
    'kv get -recurse=false': 'Error! Missing KEY argument',
    'kv get --recurse=F': 'Error! Missing KEY argument',
  }
  for (const [line, text] of Object.entries(refused)) {
    const { code, error } = await call(line)
    t.equal(code, 1, line)
    t.match(error, text, line)
  }
})

t.test('validate', async t => {
  const folder = t.testdir({
    'good.hcl': 'datacenter = "a"',
    'bad.hcl': 'datacentre = "a"\nport = 1',
    'dots.hcl': 'node_name = "a.b"',
  })
  t.same(await call('validate'), {
    code: 1,
    out: '',
    error: 'Must specify at least one config file or directory',
  })
  t.same(await call(`validate ${folder}/good.hcl`), {
    code: 0,
    out: 'Configuration is valid!',
    error: '',
  })
  t.same(await call(`validate -quiet ${folder}/good.hcl`), { code: 0, out: '', error: '' })
  t.match((await call(`validate -quiet ${folder}/dots.hcl`)).error, 'Warning: node name "a.b"')
  const all = await call(`validate ${folder}`)
  t.equal(all.code, 1)
  t.match(all.error, /^Config validation failed: .*bad\.hcl:1: unknown key "datacentre"; did /)
  t.match(all.error, /bad\.hcl:2: unknown key "port"; did you mean "ports"\?$/)
})
