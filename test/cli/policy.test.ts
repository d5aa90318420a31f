/**
 * The verbs below `policy`: a refusal and a filtered list explained by a real agent, and files of
 * tests, which need none. The example of docs/policies.md is run.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { root as repository } from '../clients/daemon.ts'
import { call, realAgent } from './support.ts'

const ROOT = 'aaaaaaaa-0000-4000-8000-000000000001'

t.test('explain: a refusal, a filtered list, what is not known', async t => {
  const tokens = `tokens { initial_management = "${ROOT}" }`
  const acl = `acl { enabled = true default_policy = "deny" ${tokens} }`
  const { daemon, environment } = await realAgent(t, [`-hcl=${acl}`])
  const as = (token: string) => ({ environment: { ...environment, CONSUL_HTTP_TOKEN: token } })
  const rules = 'service "web" { policy = "write" }\nkey_prefix "web/" { policy = "read" }\n'
  await call(['acl', 'policy', 'create', '-name=web', `-rules=${rules}`], as(ROOT))
  const made = await call(
    ['acl', 'token', 'create', '-policy-name=web', '-description=web servers', '-format=json'],
    as(ROOT),
  )
  const { SecretID: secret, AccessorID: accessor } = JSON.parse(made.out)
  const idOf = async (method: string, url: string): Promise<string> => {
    const to = `http://127.0.0.1:${daemon.httpPort}${url}`
    const answer = await fetch(to, { method, headers: { 'X-Consul-Token': secret } })
    await answer.text()
    return answer.headers.get('x-request-id') ?? ''
  }
  const refused = await idOf('PUT', '/v1/kv/web%2Fversion')
  t.same(await call(`policy explain -request=${refused}`, as(ROOT)), {
    code: 0,
    error: '',
    out: `Request:   PUT /v1/kv/web/version
Outcome:   refused
Token:     ${accessor} (web servers)
Policies:  web

Lacks key:write on "web/version"
  Decided by:   key_prefix "web/" { policy = "read" } (policy "web", line 2)
  To allow it:  key "web/version" { policy = "write" }`,
  })
  const { out } = await call(`policy explain -format=json -request ${refused}`, as(ROOT))
  t.match(JSON.parse(out), { RequestID: refused, AccessorID: accessor, Outcome: 'refused' })
  const filtered = await idOf('GET', '/v1/catalog/services')
  const told = await call(`policy explain -request=${filtered}`, as(ROOT))
  t.match(told.out, /^Request: +GET \/v1\/catalog\/services\nOutcome: +1 left out of the answer\n/)
  t.match(told.out, 'Lacks service:read on "consul"\n  Decided by:   no rule covers it (default)\n')
  t.match(await call(`policy explain -request=${filtered}`, as(secret)), {
    code: 1,
    error: /^Error explaining the request: Unexpected response code: 403 \(Permission denied: /,
  })
  t.match(await call('policy explain -request=nonsense', as(ROOT)), {
    code: 1,
    error: 'Error explaining the request: Unexpected response code: 404',
  })
  t.match(await call('policy explain', as(ROOT)), { error: 'Must specify the -request parameter' })
})

t.test('explain: conditions that refused, were passed over, advised', async t => {
  const tokens = `tokens { initial_management = "${ROOT}" }`
  const acl = `acl { enabled = true default_policy = "deny" ${tokens} }`
  const { daemon, environment } = await realAgent(t, [`-hcl=${acl}`])
  const root = { environment: { ...environment, CONSUL_HTTP_TOKEN: ROOT } }
  const create = 'acl condition create -expression=false -operation-prefix'
  for (const words of ['key:a -name=soft -level=soft-mandatory', 'key: -name=w -level=advisory']) {
    const { code, error } = await call(`${create}=${words.replace('key:', 'key:web/')}`, root)
    t.equal(code, 0, error)
  }
  const put = async (key: string, headers = {}): Promise<string> => {
    const to = `http://127.0.0.1:${daemon.httpPort}/v1/kv/${key}`
    const all = { 'X-Consul-Token': ROOT, ...headers }
    const answer = await fetch(to, { method: 'PUT', headers: all })
    await answer.text()
    return answer.headers.get('x-request-id') ?? ''
  }
  const head = (outcome: string) =>
    `Request:   PUT /v1/kv/web/a\nOutcome:   ${outcome}\nToken:     `
  const soft = '\n\nCondition "soft" (soft-mandatory) did not hold\n  What came of it:  '
  const advised = '\n\nCondition "w" (advisory) did not hold\n  What came of it:  '
  const refused = await call(`policy explain -request=${await put('web/a')}`, root)
  t.ok(refused.out.startsWith(head('refused')), refused.out)
  t.match(
    refused.out,
    `${soft}the request was refused\n` +
      '  To pass over it:  X-Policy-Override: true, by a token with acl:write',
  )
  const passing = await put('web/a', { 'X-Policy-Override': 'true' })
  const passed = await call(`policy explain -request=${passing}`, root)
  t.ok(passed.out.startsWith(head('allowed')), passed.out)
  const came = `${soft}it was passed over, as the request asked${advised}nothing: it only advises`
  t.ok(passed.out.endsWith(came), passed.out)
  const denied = await call('kv put web/a x', root)
  const [, id = ''] = /\nWhy: policy explain -request=(\S+)$/.exec(denied.error) ?? []
  t.match((await call(`policy explain -request=${id}`, root)).out, soft)
})

/** Runs a file of tests that says this. */
async function check(t: Tap, text: string, name = 'x.hcl') {
  const folder = t.testdir({ [name]: text })
  const { code, out, error } = await call(['policy', 'test', path.join(folder, name)])
  return { code, out: out.replaceAll(`${folder}/`, ''), error: error.replaceAll(`${folder}/`, '') }
}
type Tap = { testdir(files: Record<string, string>): string }

const page = readFileSync(path.join(repository, 'docs/policies.md'), 'utf8')
const [, example = ''] = /```hcl\n([\s\S]*?)```/.exec(page) ?? []

t.test('test: the example of the page, and what it prints when a rule changes', async t => {
  t.same(await check(t, example), { code: 0, out: '9 passed, 0 failed', error: '' })
  t.match(page, '\n9 passed, 0 failed\n')
  const wrong = example.replace('"web/" { policy = "read" }', '"web/" { policy = "write" }')
  const { code, out } = await check(t, wrong, 'web.test.hcl')
  t.equal(code, 1)
  const [line = '', sum] = out.split('\n')
  t.equal(sum, '8 passed, 1 failed')
  t.match(page, `\n${line}\n`, 'as the page shows it')
})

t.test('test: every case that fails says what decided', async t => {
  const { code, out } = await check(
    t,
    `policy "p" {
  rules = "key \\"a\\" { policy = \\"deny\\" }\\nkey_prefix \\"b*\\" { policy = \\"write\\" }"
}
identity "one" {
  policies = ["p"]
  allow = ["read key a", "read key c", "write key b*x"]
  deny = ["write key b*x"]
}
identity "all" { policies = ["global-management"] allow = ["write acl"] }
identity "reader" { policies = ["builtin/global-read-only"] deny = ["write acl", "read acl"] }
`,
  )
  t.equal(code, 1)
  const star = '"*" stands for itself in a name; key_prefix "b" { policy = "write" } covers all'
  t.same(out.split('\n'), [
    `warning x.hcl:2: policy "p", line 2: ${star} that begin so`,
    'FAILED x.hcl:6: one: allow "read key a": ' +
      'denied by key "a" { policy = "deny" } (policy "p", line 1)',
    'FAILED x.hcl:6: one: allow "read key c": ' +
      'denied by default, as no rule covers it; key "c" { policy = "read" } would allow it',
    'FAILED x.hcl:7: one: deny "write key b*x": ' +
      'allowed by key_prefix "b*" { policy = "write" } (policy "p", line 2)',
    'FAILED x.hcl:10: reader: deny "read acl": ' +
      'allowed by acl = "read" (policy "builtin/global-read-only")',
    '3 passed, 4 failed',
  ])
})

t.test('test: policies in files beside it, JSON, several files', async t => {
  const folder = t.testdir({
    'ops.hcl': 'operator = "read"\n',
    'one.json': JSON.stringify({
      default_policy: 'allow',
      policy: { ops: { file: 'rules/ops.hcl' } },
      identity: {
        op: {
          policies: ['ops'],
          allow: ['read operator', 'write key x'],
          deny: ['write operator'],
        },
      },
    }),
    'two.hcl': 'identity "web" { service_identities = "web" allow = "write service web" }',
    'bad.hcl':
      'policy "bad" { rules = "key = 7" }\nidentity "x" { policies = ["bad"] deny = "read acl" }',
  })
  mkdirSync(`${folder}/rules`)
  writeFileSync(`${folder}/rules/ops.hcl`, 'operator = "read"\n')
  const both = await call(['policy', 'test', `${folder}/one.json`, `${folder}/two.hcl`])
  t.same(both, { code: 0, out: '4 passed, 0 failed', error: '' })
  const bad = await call(['policy', 'test', '-format=json', `${folder}/bad.hcl`])
  t.equal(bad.code, 1, 'rules that are wrong are a failure')
  t.match(JSON.parse(bad.out), [{ passed: 1, failed: 1, notes: [{ kind: 'error' }] }])
})

t.test('test: conditions', async t => {
  const text = (expression: string, operations = '') => `
identity "ci" { auth_method = "jwt" roles = ["deploy"] }
condition "c" {
  expression = ${JSON.stringify(expression)}
  ${operations}
  holds "a login" { login = "people" }
  holds "a body" { access = "write key_prefix a/" source_ip = "10.1.2.3" body { Port = 80 } }
  holds "a token" { access = "write key a/b" identity = "ci" operation = "PUT /v1/kv/{key}" }
}`
  t.equal((await check(t, text('true'))).out, '3 passed, 0 failed')
  const { out } = await check(t, text('request.body.Port == 80'))
  t.match(out, /^FAILED x.hcl:6: condition "c", "a login": it fails \(.+\), not holds$/m)
  t.match(out, /1 passed, 2 failed$/)
  const token = 'token.auth_method == "jwt" && "deploy" in token.roles'
  const path = '&& request.path == "/v1/kv/a/b" && token.accessor == "ci"'
  t.match((await check(t, text(`${token} ${path}`))).out, /1 passed, 2 failed$/)
  const bad = await check(t, text('nonsense'))
  t.match(bad.out, /^error x.hcl:4: condition "c", line 1, column 1: .*\n0 passed, 1 failed$/)
  const governed = await check(t, text('true', 'operations = [{ resource = "key" prefix = "a/" }]'))
  t.match(governed.out, 'FAILED x.hcl:6: condition "c", "a login": it ignores that, not holds')
})

t.test('test: files that are none', async t => {
  const refused: Record<string, string> = {
    '': 'x.hcl:1: it tests nothing',
    'identity {': 'x.hcl: line 1, column',
    'nonsense = 1': 'x.hcl:1: "nonsense" is not known here: default_policy',
    'default_policy = "maybe"\nidentity "a" {}': 'x.hcl:1: default_policy is allow or deny',
    'identity = 7': 'x.hcl:1: it is: identity "NAME" { … }',
    'identity "a" { allow = ["read"] }': 'x.hcl:1: "read" is no right: CAPABILITY RESOURCE NAME',
    'identity "a" { allow = ["fly key a"] }': '"fly key a" is no right',
    'identity "a" { allow = [7] }': 'allow is a list of texts',
    'identity "a" {\n policies = ["none"] }': 'x.hcl:2: there is no policy "none"',
    'identity "a" { service_identities = ["A!"] }': 'service identity "A!" has an invalid name',
    'identity "a" { templated_policies = ["x y"] }': 'templated policy "x" does not exist',
    'policy "a" {}': 'policy "a" needs either rules or a file of them',
    'policy "a" { file = "none" }': 'ENOENT',
    'condition "a" {}': 'condition "a" has none',
    'condition "a" { expression = "true" holds "b" {} }': 'a case is about an access or a login',
    'condition "a" { expression = "true" holds "b" { login = "x" time = "no" } }': 'time is none',
    'condition "a" { expression = "true" holds "b" { login = "x" identity = "y" } }':
      'there is no "y"',
    'condition "a" { expression = "true" operations = [{}] }': 'an operation needs a resource',
    'condition "a" { expression = "true" operations = 1 }': 'an operation is an object',
  }
  for (const [text, problem] of Object.entries(refused)) {
    const { code, out, error } = await check(t, text)
    t.same([code, out, error.includes(problem)], [1, '', true], `${text}: ${error}`)
  }
  t.match(await call('policy test'), { code: 1, error: 'Not enough arguments' })
  t.match(await call('policy test /none/such'), { code: 1, error: 'Error: cannot read /none/such' })
})
