/**
 * Vault's command line as a whole: whose verbs stand where, help, the dialect of flags, exit
 * codes.
 */
import t from 'tap'
import { openbaoVersion, productVersion, vaultVersion } from '../../../src/base/version.ts'
import { parseWords } from '../../../src/cli/parse.ts'
import { verbs } from '../../../src/cli/run.ts'
import {
  laterSecretsVerbs,
  neverSecretsVerbs,
  plainSecretsVerbs,
  secretsVerbs,
} from '../../../src/cli/secrets/verbs.ts'
import { call } from '../support.ts'
import { onServer } from './support.ts'

t.test('every verb has help and examples that parse', async t => {
  for (const [name, verb] of Object.entries(secretsVerbs)) {
    const { code, out } = await call(`${name} -h`, { program: 'vault' })
    t.equal(code, 0, name)
    t.match(out, `Usage: vault ${name}`)
    t.notMatch(out, / --\w/)
    const command = await verb.load()
    t.ok(command.examples.length > 0, `${name} has examples`)
    for (const example of command.examples) {
      t.match(out, `  $ vault ${name} ${example}`.trimEnd())
      const parsed = parseWords(name, command, example.split(' ').filter(Boolean))
      t.equal(parsed.kind, 'call', `${name} ${example}`)
    }
  }
})

t.test('under the names of Vault its verbs alone are known', async t => {
  for (const program of ['vault', 'bao']) {
    t.match((await call('kv put -h', { program })).out, `Usage: ${program} kv put`)
    t.match(await call('members', { program }), { code: 127, error: `Usage: ${program} <verb>` })
    t.match((await call('operator', { program })).error, 'operator unseal')
    t.notMatch((await call('operator', { program })).error, 'operator autopilot')
  }
})

t.test('under the name of Consul none of them is', async t => {
  const consul = { program: 'consul' }
  t.match(await call('secrets list', consul), { code: 127 })
  t.match(await call('vault status', consul), { code: 127 })
  t.notMatch((await call('policy', consul)).error, 'policy write')
})

t.test('under our own name a group of both is that of Consul', async t => {
  for (const name of Object.keys(plainSecretsVerbs)) {
    t.notOk(Object.hasOwn(verbs, name), `${name} is one verb`)
    t.match((await call(`${name} -h`)).out, `Usage: gatehouse ${name}`)
  }
  for (const name of Object.keys(secretsVerbs)) {
    t.match((await call(`vault ${name} -h`)).out, `Usage: gatehouse vault ${name}`)
  }
  t.match((await call('kv put -h')).out, '-modify-index')
  t.match(await call('kv list secret'), { code: 1, error: 'kv import' })
  t.notMatch((await call('kv')).error, 'kv list')
  t.match((await call('policy')).error, /policy explain[\s\S]*policy write/)
  t.match((await call('audit')).error, /audit enable[\s\S]*audit search/)
  t.match((await call('operator')).error, /operator autopilot state[\s\S]*operator unseal/)
  t.match((await call('')).error, 'gatehouse vault <verb>')
})

t.test('verbs that come later, or never, say so', async t => {
  for (const [name, step] of Object.entries(laterSecretsVerbs)) {
    const error = `not served yet: ${name} (${step})`
    t.same(await call(`${name} x -y`, { program: 'vault' }), { code: 1, out: '', error })
  }
  for (const [name, why] of Object.entries(neverSecretsVerbs)) {
    const error = `not served: ${name} (${why})`
    t.same(await call(`${name} x`, { program: 'bao' }), { code: 1, out: '', error })
  }
})

t.test('version, in the form that tools cut it out of', async t => {
  const built = `(gatehouse v${productVersion}), built 1970-01-01T00:00:00Z`
  for (const line of ['version', '-version', '--version', '-v']) {
    t.equal((await call(line, { program: 'vault' })).out, `Vault v${vaultVersion} ${built}`)
    t.equal((await call(line, { program: 'bao' })).out, `OpenBao v${openbaoVersion} ${built}`)
  }
  t.equal((await call('vault version')).out, `Vault v${vaultVersion} ${built}`)
  t.match((await call('version')).out, `gatehouse v${productVersion}`)
})

t.test('mistakes end with 1 before anything is asked', async t => {
  const { ask, server } = await onServer(t)
  const mistakes: Record<string, string> = {
    read: 'Not enough arguments (expected at least 1, got 0)',
    'list a b': 'Too many arguments (expected 1, got 2)',
    'unwrap a b': 'Too many arguments (expected 0-1, got 2)',
    'write a': 'Must supply data or use -force',
    'write a b': 'invalid key/value pair (argument 1): format must be key=value',
    'kv put a': 'Must supply data',
    'kv list': 'Not enough arguments (expected 1, got 0)',
    'kv undelete secret/a': 'No versions provided, use the "-versions" flag',
    'kv rollback secret/a': 'Version flag must be specified',
    'kv rollback -version=0 secret/a': 'Invalid value 0 for the version flag',
    'read -format=xml a': 'Invalid output format: xml',
    'read -wrap-ttl=soon a': 'invalid value "soon" for flag -wrap-ttl',
    'read -foo a': "unknown option '-foo'",
    'token create -ttl=x': 'invalid value "x" for flag -ttl',
    'token create -metadata=x': '-metadata must be key=value',
    'token lookup -accessor': 'Not enough arguments with -accessor (expected 1, got 0)',
    'token revoke': 'Not enough arguments (expected 1 or -self, got 0)',
    'token revoke -self a': 'Too many arguments with -self (expected 0, got 1)',
    'token revoke -self -accessor': 'Cannot use -self with -accessor!',
    'token revoke -accessor -mode=path a': 'Cannot use -accessor with -mode=path!',
    'token revoke -mode=x a': 'Invalid mode: x',
    'lease revoke -force a': 'Specifying -force requires also specifying -prefix',
    'lease lookup': 'Missing ID!',
    'login -no-store -no-print x': '-no-store and -no-print cannot be used together',
    'login -method=magic': 'Unknown auth method: magic',
    'monitor -log-level=loud': 'loud is an unknown log level',
    'namespace patch team': 'Must supply at least one of -custom-metadata',
    'operator rekey -target=moon': 'Unknown target: moon',
    'operator generate-root -decode=x': 'Missing otp: use -otp to supply it',
  }
  for (const [line, text] of Object.entries(mistakes)) {
    const { code, out, error } = await ask(line)
    t.match({ code, out }, { code: 1, out: '' }, line)
    t.match(error, text, line)
  }
  t.same(server.taken(), [])
})

t.test('a flag behind an argument is told', async t => {
  const { ask } = await onServer(t)
  const { code, error } = await ask('list sys/x -format=json')
  t.equal(code, 1)
  t.match(error, 'Too many arguments (expected 1, got 2)')
  const write = await ask('write sys/x -field=a')
  t.match(write.error, 'These are taken for arguments: -field')
})
