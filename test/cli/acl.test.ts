/**
 * The verbs below `acl`, `login` and `logout`, against a real agent under default deny.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { rsa, tokenOf } from '../identity/auth-method/tokens.ts'
import { call, fakeAgent, realAgent } from './support.ts'

const acl = 'acl { enabled = true default_policy = "deny" }'
const { daemon, environment } = await realAgent(t, [`-hcl=${acl}`])

/** Asks with the first token, once there is one. */
let root = ''
const ask = (line: string | string[], stdin = '') =>
  call(line, { environment: { ...environment, CONSUL_HTTP_TOKEN: root }, stdin })
const json = async (line: string | string[]) => {
  const { code, out, error } = await ask(line)
  if (code !== 0) throw new Error(`${line}: ${error}`)
  return JSON.parse(out)
}
const fieldOf = (text: string, name: string): string =>
  new RegExp(`^${name}: +(.*)$`, 'm').exec(text)?.[1] ?? ''

t.test('bootstrap: once, and with a secret of its own', async t => {
  const folder = t.testdir({ secret: '2b778dd9-f5f1-6f29-b4b4-9a5fa948757a\n' })
  const denied = await ask('acl token list')
  t.equal(denied.code, 1)
  t.match(denied.error, 'Failed to retrieve the token list: Unexpected response code: 403')
  t.match(await ask('acl bootstrap /none/such'), {
    code: 1,
    error: 'Error reading ACL bootstrap secret: ENOENT',
  })
  const { code, out } = await ask(`acl bootstrap ${folder}/secret`)
  t.equal(code, 0)
  t.match(out, /^AccessorID: {7}[0-9a-f-]{36}\nSecretID: {9}2b778dd9-f5f1-6f29-b4b4-9a5fa948757a\n/)
  t.match(
    out,
    /\nLocal: {12}false\nCreate Time: {6}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC\n/,
  )
  t.match(out, /\nPolicies:\n {3}00000000-0000-0000-0000-000000000001 - global-management$/)
  root = fieldOf(out, 'SecretID')
  t.match(await ask('acl bootstrap -', '3b778dd9-f5f1-6f29-b4b4-9a5fa948757a'), {
    code: 1,
    error: /^Failed ACL bootstrapping: Unexpected response code: 403 \(.*reset index: \d+\)\)$/,
  })
})

t.test('policies: from text, file and stdin; read, changed, listed, deleted', async t => {
  const folder = t.testdir({ 'web.hcl': 'service "web" { policy = "write" }\n' })
  const made = await ask(`acl policy create -name=web -rules=@${folder}/web.hcl -description=d`)
  t.equal(made.code, 0, made.error)
  const id = fieldOf(made.out, 'ID')
  t.equal(
    made.out,
    `ID:           ${id}
Name:         web
Description:  d
Datacenters:${'  '}
Rules:
service "web" { policy = "write" }
`,
  )
  const other = 'acl policy create -name=in -valid-datacenter=dc1 -valid-datacenter=dc2 -rules=-'
  t.match((await ask(other, 'key "a" { policy = "read" }')).out, 'Datacenters:  dc1, dc2\n')
  t.match((await ask('acl policy read -name=web')).out, made.out)
  t.match((await ask(`acl policy read -id=${id.slice(0, 8)}`)).out, made.out)
  t.match(
    (await ask('acl policy read -name=web -meta')).out,
    /\nHash: {9}[0-9a-f]{64}\nCreate Index: \d/,
  )
  const changed = await ask(`acl policy update -id=${id} -name=web2 -description=e`)
  t.match(changed.out, 'Name:         web2\nDescription:  e\n')
  t.match(changed.out, 'service "web" { policy = "write" }')
  const emptied = await ask('acl policy update -name=web2 -no-merge -rules=acl="read"')
  t.match(emptied.out, /Name: {9}web2\nDescription: {2}\nDatacenters: {2}\nRules:\nacl="read"/)
  t.match(
    (await ask('acl policy list')).out,
    `\nweb2:\n   ID:           ${id}\n   Description:  \n`,
  )
  const names = (await json('acl policy list -format=json')).map(
    (each: { Name: string }) => each.Name,
  )
  t.same(names.sort(), ['builtin/global-read-only', 'global-management', 'in', 'web2'])
  t.equal((await ask('acl policy delete -name=web2')).out, `Policy "${id}" deleted successfully`)
  t.match(await ask('acl policy read -name=web2'), {
    code: 1,
    error: 'Error reading policy: Unexpected response code: 404 (',
  })
})

t.test('tokens: all that gives rights, read in every form', async t => {
  const folder = t.testdir({
    secret: '9b778dd9-f5f1-6f29-b4b4-9a5fa948757a',
    't.hcl': 'TemplatedPolicy "builtin/node" { Name = "n9" }\nTemplatedPolicy "builtin/dns" {}\n',
    't.json': '{"TemplatedPolicies": {"builtin/service": [{"Name": "a"}, {"Name": "b"}]}}',
  })
  await ask(['acl', 'policy', 'create', '-name=kv', '-rules=key_prefix "" { policy = "read" }'])
  await ask('acl role create -name=ops -policy-name=kv')
  const made = await ask(
    'acl token create -description=all -policy-name=kv -role-name=ops ' +
      '-service-identity=web:dc1,dc2 -service-identity=api -node-identity=n1:dc1 ' +
      '-templated-policy=builtin/service -var=name:db -expires-ttl=1h ' +
      `-secret=@${folder}/secret`,
  )
  t.equal(made.code, 0, made.error)
  const accessor = fieldOf(made.out, 'AccessorID')
  t.equal(fieldOf(made.out, 'SecretID'), '9b778dd9-f5f1-6f29-b4b4-9a5fa948757a')
  t.match(fieldOf(made.out, 'Expiration Time'), /\+0000 UTC$/)
  const shape = [
    'Roles:\n {3}[0-9a-f-]{36} - ops\n',
    'Service Identities:\n {3}web \\(Datacenters: dc1, dc2\\)\n {3}api \\(Datacenters: all\\)\n',
    'Node Identities:\n {3}n1 \\(Datacenter: dc1\\)\n',
    'Templated Policies:\n {3}builtin/service\n {6}Name: db\n {6}Datacenters: all$',
  ]
  t.match(made.out, new RegExp(shape.join('')))
  t.match((await ask(`acl token read -id=${accessor.slice(0, 10)}`)).out, made.out)
  const own = await call('acl token read -self', {
    environment: { ...environment, CONSUL_HTTP_TOKEN_FILE: `${folder}/secret` },
  })
  t.equal(own.out, made.out, 'by the variable for a file')
  const byFlag = await call(['acl', 'token', 'read', `-token-file=${folder}/secret`, '-self'], {
    environment: { ...environment, CONSUL_HTTP_TOKEN: root },
  })
  t.equal(byFlag.out, made.out, 'a flag goes before the environment')
  const { out } = await ask(`acl token read -accessor-id=${accessor} -expanded`)
  t.match(out, '\n\tPolicy Name: kv\n\t\tID: ')
  t.match(out, '\n\t\tRules:\n\t\t\tkey_prefix "" { policy = "read" }\n')
  t.match(out, '\n\tName: api (Datacenters: all)\n\t\tDescription: synthetic policy generated from')
  t.match(out, '\n\tbuiltin/service (Name: db)\n')
  t.match(out, '\n\tRole Name: ops\n')
  t.match(out, '\nDefault Policy: deny\nDown Policy: extend-cache\nResolved By Agent: n1')
  for (const [file, names] of [
    ['t.hcl', ['builtin/node', 'builtin/dns']],
    ['t.json', ['builtin/service', 'builtin/service']],
  ] as const) {
    const given = await json(
      `acl token create -templated-policy-file=${folder}/${file} -format=json`,
    )
    t.same(
      given.TemplatedPolicies.map((each: { TemplateName: string }) => each.TemplateName),
      names,
    )
  }
  const listed = (await ask('acl token list')).out
  t.match(listed, /\nLegacy: {11}false\n/)
  t.match(`\n\n${listed}`, `\n\nAccessorID:       ${accessor}\n`)
})

t.test('tokens: what is given replaces, what is appended stands beside', async t => {
  const links = (token: { Policies?: { Name: string }[] }) =>
    (token.Policies ?? []).map(({ Name }) => Name)
  for (const name of ['p1', 'p2']) await ask(`acl policy create -name=${name}`)
  const made = await json(
    'acl token create -policy-name=p1 -service-identity=web -role-name=ops -format=json',
  )
  const update = `acl token update -format=json -accessor-id=${made.AccessorID}`
  const described = await json(`${update} -description=new`)
  t.same([described.Description, links(described)], ['new', ['p1']])
  t.match(described, { ServiceIdentities: [{ ServiceName: 'web' }], Roles: [{ Name: 'ops' }] })
  t.same(links(await json(`${update} -append-policy-name=p2`)), ['p1', 'p2'])
  t.same(links(await json(`${update} -append-policy-name=p2`)), ['p1', 'p2'])
  t.same(links(await json(`${update} -policy-name=p2`)), ['p2'])
  t.same(links(await json(`${update} -merge-policies -policy-name=p1`)), ['p2', 'p1'])
  const services = await json(`${update} -append-service-identity=web:dc1`)
  t.same(services.ServiceIdentities, [{ ServiceName: 'web', Datacenters: ['dc1'] }])
  t.match(await ask(`${update} -policy-name=p1 -append-policy-name=p2`), {
    code: 1,
    error: 'Failed to update token: policies are either replaced or added to',
  })
  const copy = await json(`acl token clone -id=${made.AccessorID} -description=c -format=json`)
  t.same([copy.Description, links(copy)], ['c', ['p2', 'p1']])
  t.not(copy.SecretID, made.SecretID)
  t.equal(
    (await ask(`acl token delete -accessor-id=${copy.AccessorID}`)).out,
    `Token "${copy.AccessorID}" deleted successfully`,
  )
  t.match((await ask(`acl token delete -accessor-id=${copy.AccessorID}`)).error, '404 (Cannot find')
  const anonymous = await json(`acl token update -id=anonymous -policy-name=p1 -format=json`)
  t.equal(anonymous.AccessorID, '00000000-0000-0000-0000-000000000002')
})

t.test('roles: made, merged, replaced, listed, deleted', async t => {
  const made = await json('acl role create -name=r -policy-name=p1 -format=json')
  const merged = await ask('acl role update -name=r -node-identity=n1:dc1 -description=d')
  t.match(
    merged.out,
    /Name: {9}r\nDescription: {2}d\nPolicies:\n {3}\S+ - p1\nNode Identities:\n {3}n1 /,
  )
  const replaced = await json(
    `acl role update -id=${made.ID} -name=s -no-merge -policy-name=p2 -format=json`,
  )
  t.match([replaced.Name, replaced.Description], ['s', ''])
  t.same(
    replaced.Policies.map(({ Name }: { Name: string }) => Name),
    ['p2'],
  )
  t.equal(replaced.NodeIdentities, undefined)
  t.match(
    (await ask('acl role list')).out,
    /^s:\n {3}ID: {11}\S+\n {3}Description: {2}\n {3}Policies:\n {6}\S+ - p2/m,
  )
  t.equal((await ask('acl role delete -name=s')).out, `Role "${made.ID}" deleted successfully`)
})

t.test('templated policies', async t => {
  const folder = t.testdir({ 'one.hcl': 'TemplatedPolicy "builtin/node" { name = "n7" }' })
  t.match((await ask('acl templated-policy list')).out, /^builtin\/api-gateway\n/)
  const { out } = await ask('acl templated-policy read -name=builtin/service -meta')
  t.match(out, 'acl token create -templated-policy=builtin/service -var=name:NAME')
  t.match(out, /Schema:\n\{.*\}\nRaw Template:\n/)
  t.match(
    (await ask('acl templated-policy preview -name=builtin/service -var=name:api')).out,
    /Rules:\n[\s\S]*service "api-sidecar-proxy"/,
  )
  t.match((await ask(`acl templated-policy preview -file=${folder}/one.hcl`)).out, 'node "n7"')
})

t.test('set-agent-token: by argument, file and stdin', async t => {
  const folder = t.testdir({ token: 'aaaaaaaa-1111-2222-3333-444444444444' })
  const set = { code: 0, error: '' }
  t.match(await ask(`acl set-agent-token agent @${folder}/token`), {
    ...set,
    out: 'ACL token "agent" set successfully',
  })
  t.match(
    await ask('acl set-agent-token recovery -', 'bbbbbbbb-1111-2222-3333-444444444444\n'),
    set,
  )
  const recovery = await call('info', {
    environment: { ...environment, CONSUL_HTTP_TOKEN: 'bbbbbbbb-1111-2222-3333-444444444444' },
  })
  t.equal(recovery.code, 0, 'the token that was set is good')
  t.match(await ask('acl set-agent-token nonsense x'), { code: 1, error: 'Unknown token type' })
})

t.test('what is wrong is said', async t => {
  const folder = t.testdir({
    'bad.hcl': 'TemplatedPolicy {',
    'odd.hcl': 'Something "x" {}',
    'no.hcl': 'TemplatedPolicy "x" { Name = 7 }',
  })
  const refused: Record<string, string> = {
    'acl bootstrap a b': 'Too many arguments',
    'acl policy create': "Missing require '-name' flag",
    'acl policy create -name=x -rules=@/none': 'Failed to read file: ENOENT',
    'acl policy create -name=x -rules=acl=7': 'Failed to create new policy: Unexpected response',
    'acl policy read': 'Must specify either the -id or -name parameters',
    'acl policy update': 'Cannot update a policy without specifying the -id or -name parameter',
    'acl policy delete': 'Must specify the -id or -name parameters',
    'acl policy read -id=zz': 'Error reading policy: No such policy ID with prefix: zz',
    'acl policy read -id=0': 'Error reading policy: Partial policy ID is not unique',
    'acl role create': "Missing require '-name' flag",
    'acl role create -name=x': 'Cannot create a role without specifying',
    'acl role read': 'Must specify either the -id or -name parameters',
    'acl role update': 'Cannot update a role without specifying',
    'acl token create': 'Cannot create a token without specifying',
    'acl token create -service-identity=a:b:c': 'Malformed -service-identity argument: "a:b:c"',
    'acl token create -node-identity=a': 'Malformed -node-identity argument: "a"',
    'acl token create -templated-policy=x -var=y': '-var must be name:VALUE',
    'acl token create -templated-policy=x -var=name:a -var=name:b': 'there is one variable',
    'acl token create -templated-policy=x -templated-policy-file=y': 'Cannot combine the flags',
    [`acl token create -templated-policy-file=${folder}/bad.hcl`]: 'Failed to decode templated',
    [`acl token create -templated-policy-file=${folder}/odd.hcl`]: '"Something" is unknown',
    [`acl token create -templated-policy-file=${folder}/no.hcl`]: 'a text is expected',
    'acl token create -policy-name=kv -expires-ttl=1s': 'cannot be less than 1m0s in the future',
    'acl token read': 'Must specify the -accessor-id parameter',
    'acl token update': 'Cannot update a token without specifying the -accessor-id parameter',
    'acl token clone': 'Cannot clone a token without specifying the -accessor-id parameter',
    'acl token delete': 'Must specify the -accessor-id parameter',
    'acl set-agent-token agent': 'Not enough arguments (expected 2, got 1)',
    'acl templated-policy read': 'Must specify the -name parameter',
    'acl templated-policy preview': 'without specifying -name or -file',
    'acl auth-method create': "Missing required '-type' flag",
    'acl auth-method create -type=jwt': "Missing required '-name' flag",
    'acl auth-method create -type=jwt -name=x -config={': 'Error parsing JSON for auth method',
    'acl auth-method create -type=jwt -name=x -config={} -kubernetes-host=y': 'Cannot use command',
    'acl auth-method read': 'Must specify the -name parameter',
    'acl auth-method update': 'Cannot update an auth method without',
    'acl auth-method delete': 'Must specify the -name parameter',
    'acl binding-rule create': "Missing required '-method' flag",
    'acl binding-rule create -method=x': "Missing required '-bind-name' flag",
    'acl binding-rule create -method=x -bind-name=y -bind-vars=z': '-bind-vars must be name=VALUE',
    'acl binding-rule read': 'Must specify the -id parameter',
    'acl binding-rule update': 'Cannot update a binding rule without',
    'acl binding-rule delete': 'Must specify the -id parameter',
    login: "Missing required '-method' flag",
    'login -method=x': "Missing required '-token-sink-file' flag",
    'login -method=x -token-sink-file=y': "Missing required '-bearer-token-file' flag",
    'login -method=x -token-sink-file=y -bearer-token-file=/none': 'cannot read the bearer token',
    'login -method=x -token-sink-file=y -bearer-token-file=-': 'the bearer token is empty',
    'logout x': 'Should have no non-flag arguments.',
    logout:
      "Error destroying token: Unexpected response code: 403 (Permission denied: token wasn't",
  }
  for (const [line, error] of Object.entries(refused)) {
    const { code, out, error: said } = await ask(line)
    t.same([code, out, said.includes(error)], [1, '', true], `${line}: ${said}`)
  }
})

t.test('login and logout: nothing secret is printed', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const folder = t.testdir({ proof: 'the.jwt.itself\n' })
  agent.answer({ AccessorID: 'a', SecretID: 'the-secret' })
  const sink = `${folder}/sink`
  const words = ['login', `-http-addr=${agent.address}`, '-method=ci', '-meta=team=web']
  const files = [`-bearer-token-file=${folder}/proof`, `-token-sink-file=${sink}`]
  t.same(await call([...words, ...files]), { code: 0, out: '', error: '' })
  t.equal(agent.asked[0]?.method, 'POST')
  t.equal(agent.asked[0]?.url, '/v1/acl/login')
  t.same(JSON.parse(agent.asked[0]?.body ?? ''), {
    AuthMethod: 'ci',
    BearerToken: 'the.jwt.itself',
    Meta: { team: 'web' },
  })
  t.equal(readFileSync(sink, 'utf8'), 'the-secret')
  t.equal(statSync(sink).mode & 0o777, 0o600)
  const missing = await call([...words, files[0] ?? '', '-token-sink-file=/none/such'])
  t.match(missing, { code: 1, out: '', error: 'Error logging in: cannot write the token file' })
  t.same(await call(['logout', `-http-addr=${agent.address}`, `-token-file=${sink}`]), {
    code: 0,
    out: '',
    error: '',
  })
  t.match(agent.asked.at(-1), { method: 'POST', url: '/v1/acl/logout', token: 'the-secret' })
  t.equal(daemon.isRunning(), true)
})

t.test('auth methods and binding rules, as the wire has them', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const on = (line: string) =>
    call(line.replace(/^(acl \S+ \S+)/, `$1 -http-addr=${agent.address}`))
  const method = {
    Name: 'ci',
    Type: 'jwt',
    Description: 'd',
    MaxTokenTTL: '1h0m0s',
    TokenLocality: 'global',
    Config: { BoundIssuer: 'x' },
    CreateIndex: 5,
    ModifyIndex: 6,
  }
  agent.answer(method)
  const made = await on(
    'acl auth-method create -type=jwt -name=ci -max-token-ttl=1h -config={"BoundIssuer":"x"} -meta',
  )
  t.equal(
    made.out,
    `Name:          ci
Type:          jwt
Description:   d
MaxTokenTTL:   1h0m0s
TokenLocality: global
Create Index:  5
Modify Index:  6
Config:
{
  "BoundIssuer": "x"
}`,
  )
  const body = () => JSON.parse(agent.asked.at(-1)?.body ?? '')
  t.match(body(), { Name: 'ci', Type: 'jwt', MaxTokenTTL: '1h', Config: { BoundIssuer: 'x' } })
  await on('acl auth-method update -name=ci -kubernetes-host=h')
  t.match(body(), { Description: 'd', Config: { BoundIssuer: 'x', Host: 'h' } })
  t.match(agent.asked.at(-1), { method: 'PUT', url: '/v1/acl/auth-method/ci' })
  await on('acl auth-method update -name=ci -no-merge -config={"Y":1}')
  t.same(body(), { Name: 'ci', Type: 'jwt', Config: { Y: 1 } })
  t.equal((await on('acl auth-method read -name=ci -format=json')).code, 0)
  t.equal(
    (await on('acl auth-method delete -name=ci')).out,
    'Auth-method "ci" deleted successfully',
  )
  agent.answer([method])
  t.match((await on('acl auth-method list')).out, /^ci:\n {3}Type: {9}jwt\n {3}Description: {2}d$/)

  const ID = 'b6b856da-5193-4e78-845a-7d61ca8371ba'
  const rule = {
    ID,
    Description: 'd',
    AuthMethod: 'ci',
    BindType: 'templated-policy',
    BindName: 'builtin/service',
    BindVars: { Name: 'x' },
    Selector: 'value.team=="web"',
  }
  agent.answer(rule)
  t.equal(
    (await on('acl binding-rule create -method=ci -bind-name=web')).out,
    `ID:           ${ID}
AuthMethod:   ci
Description:  d
BindType:     templated-policy
BindName:     builtin/service
BindVars:
   - Name: x
Selector:     value.team=="web"`,
  )
  t.same(body(), { AuthMethod: 'ci', BindType: 'service', BindName: 'web' })
  await on(`acl binding-rule update -id=${ID} -bind-vars=name=y`)
  t.match(body(), { ID, BindName: 'builtin/service', BindVars: { Name: 'y' } })
  await on(`acl binding-rule update -id=${ID} -no-merge -bind-name=z`)
  t.same(body(), { ID, AuthMethod: 'ci', BindType: 'service', BindName: 'z' })
  agent.answer([rule])
  t.match((await on('acl binding-rule list -method=ci')).out, `${ID}:\n   AuthMethod:   ci\n`)
  t.equal(agent.asked.at(-1)?.url, '/v1/acl/binding-rules?authmethod=ci')
  agent.answerOn('/v1/acl/binding-rules', [rule])
  agent.answer(rule)
  t.match((await on('acl binding-rule read -id=b6b8')).out, `ID:           ${ID}`)
  const deleted = await on('acl binding-rule delete -id=b6b8')
  t.equal(deleted.out, `Binding rule "${ID}" deleted successfully`)
  t.match(agent.asked.at(-1), { method: 'DELETE', url: `/v1/acl/binding-rule/${ID}` })
})

t.test('from an auth method and a binding rule to a login and its end', async t => {
  const nowSecs = Math.floor(Date.now() / 1_000)
  const claims = { sub: 'web', aud: 'gatehouse', iat: nowSecs, exp: nowSecs + 600 }
  const config = {
    JWTValidationPubKeys: [rsa.pem],
    BoundAudiences: ['gatehouse'],
    ClaimMappings: { sub: 'job' },
  }
  const folder = t.testdir({
    'config.json': JSON.stringify(config),
    proof: tokenOf(claims, {}, 'RS256', rsa.privateKey),
  })
  const made = await ask(
    `acl auth-method create -type=jwt -name=ci -max-token-ttl=1h -config=@${folder}/config.json`,
  )
  t.equal(made.code, 0, made.error)
  t.match(made.out, /^Name: {10}ci\nType: {10}jwt\nDescription: {3}\nMaxTokenTTL: {3}1h0m0s\n/)
  const changed = await ask('acl auth-method update -name=ci -description=d')
  t.match(changed.out, 'MaxTokenTTL:   1h0m0s')
  t.match((await ask('acl auth-method list')).out, /^ci:\n {3}Type: {9}jwt\n {3}Description: {2}d$/)
  const rule = await ask([
    ...['acl', 'binding-rule', 'create', '-method=ci', '-bind-type=service'],
    `-bind-name=\${value.job}`,
    '-selector=value.job != "none"',
  ])
  t.equal(rule.code, 0, rule.error)
  const id = fieldOf(rule.out, 'ID')
  const described = await ask(`acl binding-rule update -id=${id.slice(0, 8)} -description=d`)
  t.equal(described.out, rule.out.replace('Description:  ', 'Description:  d'))
  t.match((await ask('acl binding-rule list -method=ci')).out, `${id}:\n   AuthMethod:   ci\n`)
  const sink = `${folder}/sink`
  const login = `login -method=ci -bearer-token-file=${folder}/proof -token-sink-file=${sink}`
  t.same(await call(login, { environment }), { code: 0, out: '', error: '' })
  const own = await call(`acl token read -self -token-file=${sink}`, { environment })
  t.match(own.out, '\nAuth Method:      ci\n')
  t.match(own.out, '\nService Identities:\n   web (Datacenters: all)')
  t.same(await call(`logout -token-file=${sink}`, { environment }), { code: 0, out: '', error: '' })
  t.match(await call(`logout -token-file=${sink}`, { environment }), {
    code: 1,
    error: 'Error destroying token: Unexpected response code: 403 (ACL not found)',
  })
  t.match(await call(login.replace('=ci', '=none'), { environment }), {
    code: 1,
    error: 'Error logging in: Unexpected response code: 403 (ACL not found: auth method "none" not',
  })
  const deleted = await ask(`acl binding-rule delete -id=${id}`)
  t.equal(deleted.out, `Binding rule "${id}" deleted successfully`)
  const gone = await ask('acl auth-method delete -name=ci')
  t.equal(gone.out, 'Auth-method "ci" deleted successfully')
})

t.test('who can write to the disk of the server bootstraps once more', async t => {
  const { error } = await ask('acl bootstrap')
  const [, index = ''] = /reset index: (\d+)/.exec(error) ?? []
  writeFileSync(path.join(daemon.dataDir, 'acl-bootstrap-reset'), index)
  const again = await ask('acl bootstrap')
  t.equal(again.code, 0, again.error)
  t.match(again.out, 'global-management')
  t.equal((await ask('acl bootstrap')).code, 1)
})
