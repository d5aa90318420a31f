/**
 * Class 8: the policy that gives everything is reached by another spelling of its name, by an id,
 * by a role, or by what a login says (CVE-2021-41802, CVE-2025-5999, CVE-2025-64761,
 * CVE-2024-9180). Nothing that is written takes its place, changes what it gives, or gives it to
 * who was not given it by name or id.
 */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { bindings } from '../../src/identity/binding.ts'
import { ROOT } from '../http/acl.ts'
import { type Face, startFace } from '../http/harness.ts'
import { propertyRuns } from '../run/budget.ts'

const MANAGEMENT = '00000000-0000-0000-0000-000000000001'
const READ_ONLY = '00000000-0000-0000-0000-000000000002'
/** What a binding rule writes for what a login says. */
const VARIABLE = '$'.concat('{value.name}')
const ANONYMOUS = '00000000-0000-0000-0000-000000000002'

/** Names that look like it, or that some comparison might take for it. */
const SPELLINGS = [
  ...['global-management', 'Global-Management', 'GLOBAL-MANAGEMENT', 'global-managemenT'],
  ...[' global-management', 'global-management ', 'global-management\t', 'global-management\n'],
  ...['global-management\u0000', '\u0000global-management', 'global-management\u200b'],
  ...['global\u2010management', 'global\u2011management', 'global_management', 'globalmanagement'],
  ...[
    'ｇlobal-management',
    'gl\u043ebal-management',
    'global-m\u0430nagement',
    'global-\u212aanagement',
  ],
  ...[
    'ﬁglobal-management',
    'global-management/',
    '/global-management',
    'builtin/global-management',
  ],
  ...[
    'builtin/global-read-only',
    'BUILTIN/global-read-only',
    'builtin//global-read-only',
    'builtin',
  ],
  ...[
    'global-management%00',
    'global%2dmanagement',
    MANAGEMENT,
    MANAGEMENT.replaceAll('-', ''),
    READ_ONLY,
  ],
]

async function start(t: Parameters<typeof startFace>[0]) {
  const face = await startFace(t, { acl: {} })
  return { face, root: face.client.as(ROOT) }
}

/** Whether somebody may everything: he may make a token. */
async function isManager(face: Face, secret: string): Promise<boolean> {
  const { status } = await face.client.as(secret).raw('PUT', '/v1/acl/token', {})
  return status === 200
}

/** What the builtin policies say, as text. */
async function builtins(root: Face['client']): Promise<string> {
  const all = await Promise.all(
    [MANAGEMENT, READ_ONLY].map(id => root.raw('GET', `/v1/acl/policy/${id}`)),
  )
  return all.map(({ status, text }) => `${status} ${text}`).join('\n')
}

t.test('attack: policies and roles of such names', async t => {
  const { face, root } = await start(t)
  const before = await builtins(root)
  const rules = 'key_prefix "" { policy = "read" }'
  for (const Name of SPELLINGS) {
    const answer = await root.raw('PUT', '/v1/acl/policy', { Name, Rules: rules })
    if (answer.status === 200) {
      const { json } = answer
      t.match(
        Name,
        /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]*)?$/,
        `${JSON.stringify(Name)} is a plain name`,
      )
      t.not(Name.toLowerCase(), 'global-management')
      t.notMatch(Name, /^builtin\//i)
      // It gives what it says, and no more.
      const made = (await root.raw('PUT', '/v1/acl/token', { Policies: [{ Name }] })).json
      t.strictSame(made.Policies, [{ ID: json.ID, Name: json.Name }])
      t.notOk(await isManager(face, made.SecretID), Name)
    }
    const role = await root.raw('PUT', '/v1/acl/role', { Name })
    if (role.status === 200) {
      const made = (await root.raw('PUT', '/v1/acl/token', { Roles: [{ Name }] })).json
      t.notOk(await isManager(face, made.SecretID), `the role ${Name} is no policy`)
    }
  }
  t.equal(await builtins(root), before, 'the builtin ones are as they were')
})

t.test('attack: what the builtin policies give is not changed, moved or removed', async t => {
  const { root } = await start(t)
  const before = await builtins(root)
  for (const id of [MANAGEMENT, READ_ONLY, MANAGEMENT.toUpperCase()]) {
    for (const body of [
      { Name: 'global-management', Rules: '' },
      { ID: id, Name: 'global-management', Rules: 'key "x" { policy = "deny" }' },
      { Name: 'other', Rules: 'acl = "write"' },
      { Rules: 'acl = "write"' },
    ]) {
      const { status } = await root.raw('PUT', `/v1/acl/policy/${id}`, body)
      t.not(status, 200, `PUT ${id} ${JSON.stringify(body)}`)
    }
    t.not((await root.raw('DELETE', `/v1/acl/policy/${id}`)).status, 200)
  }
  const mine = await root.raw('PUT', '/v1/acl/policy', {
    ID: MANAGEMENT,
    Name: 'mine',
    Rules: 'acl = "write"',
  })
  t.ok(mine.status !== 200 || mine.json.ID !== MANAGEMENT, 'an id is not chosen')
  t.equal(await builtins(root), before)
  t.not((await root.raw('DELETE', `/v1/acl/token/${ANONYMOUS}`)).status, 200)
  for (const SecretID of ['anonymous', MANAGEMENT, '00000000-0000-0000-0000-00000000000a']) {
    t.not((await root.raw('PUT', '/v1/acl/token', { SecretID })).status, 200, SecretID)
  }
})

t.test('attack: links by spellings and ids: only the name and the id are it', async t => {
  const { face, root } = await start(t)
  const links = SPELLINGS.flatMap(text => [{ Name: text }, { ID: text }])
  for (const link of links) {
    for (const body of [{ Policies: [link] }, { Roles: [link] }]) {
      const answer = await root.raw('PUT', '/v1/acl/token', body)
      if (answer.status !== 200) continue
      const { json } = answer
      const isIt = await isManager(face, json.SecretID)
      const text = JSON.stringify(body)
      const isNamed = Object.values(link).some(
        it => /^global-management$/i.test(it) || it === MANAGEMENT,
      )
      if (isIt && !isNamed) t.fail(`${text} gave everything`)
      if (isIt)
        t.strictSame(
          json.Policies,
          [{ ID: MANAGEMENT, Name: 'global-management' }],
          `${text} is told as it`,
        )
    }
  }
  for (const identity of SPELLINGS) {
    for (const body of [
      { ServiceIdentities: [{ ServiceName: identity }] },
      { NodeIdentities: [{ NodeName: identity, Datacenter: 'dc1' }] },
      { TemplatedPolicies: [{ TemplateName: identity }] },
      {
        TemplatedPolicies: [
          { TemplateName: 'builtin/service', TemplateVariables: { Name: identity } },
        ],
      },
    ]) {
      const answer = await root.raw('PUT', '/v1/acl/token', body)
      if (answer.status !== 200) continue
      t.notOk(await isManager(face, answer.json.SecretID), JSON.stringify(body))
    }
  }
})

t.test('near miss: by its name, by its id, and by a role that has it', async t => {
  const { face, root } = await start(t)
  const role = { Name: 'admins', Policies: [{ ID: MANAGEMENT }] }
  t.equal((await root.raw('PUT', '/v1/acl/role', role)).status, 200)
  for (const body of [
    { Policies: [{ Name: 'global-management' }] },
    { Policies: [{ ID: MANAGEMENT }] },
    { Roles: [{ Name: 'admins' }] },
  ]) {
    const { json } = await root.raw('PUT', '/v1/acl/token', body)
    t.ok(await isManager(face, json.SecretID), JSON.stringify(body))
  }
})

t.test('generated: no login reaches a reserved policy by what it says', async () => {
  const said = fc.oneof(
    fc.constantFrom(...SPELLINGS),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.stringMatching(/^[gG][lL][oO][bB][aA][lL]-[mM][aA]nagement$/),
  )
  const frame = fc.constantFrom(
    VARIABLE,
    `global-${VARIABLE}`,
    `${VARIABLE}management`,
    `builtin/${VARIABLE}`,
  )
  fc.assert(
    fc.property(said, frame, (name, bindName) => {
      const rule = { selector: '', bindType: 'policy', bindName, bindVars: { name: '' } }
      const identity = { fields: {}, lists: {}, variables: new Map([['value.name', name]]) }
      const bound = bindings([rule], identity as never, 'dc1')
      if (bound instanceof Refusal) return true
      return bound.policies.every(one => one !== 'global-management' && !one.includes('/'))
    }),
    { numRuns: 10 * propertyRuns() },
  )
})

t.test('generated: what may not write ACLs makes nobody a manager', async t => {
  const { face, root } = await start(t)
  const all = `agent_prefix "" { policy = "write" } key_prefix "" { policy = "write" }
    keyring = "write"
    node_prefix "" { policy = "write" } service_prefix "" { policy = "write" intentions = "write" }
    session_prefix "" { policy = "write" } event_prefix "" { policy = "write" } mesh = "write"
    query_prefix "" { policy = "write" } operator = "write" peering = "write" acl = "read"`
  await root.raw('PUT', '/v1/acl/policy', { Name: 'almost', Rules: all })
  const { SecretID, AccessorID } = (
    await root.raw('PUT', '/v1/acl/token', { Policies: [{ Name: 'almost' }] })
  ).json
  const almost = face.client.as(SecretID)
  const grants = { Policies: [{ ID: MANAGEMENT }] }
  for (const [method, path, body] of [
    ['PUT', '/v1/acl/token', grants],
    ['PUT', `/v1/acl/token/${AccessorID}`, grants],
    ['PUT', `/v1/acl/token/${AccessorID}/clone`, grants],
    ['PUT', `/v1/acl/token/${ANONYMOUS}`, grants],
    ['PUT', '/v1/acl/role', { Name: 'x', ...grants }],
    ['PUT', '/v1/acl/policy', { Name: 'x', Rules: 'acl = "write"' }],
    ['PUT', '/v1/acl/bootstrap', {}],
    ['DELETE', `/v1/acl/policy/${MANAGEMENT}`, ''],
    ['GET', '/v1/snapshot', ''],
    ['PUT', '/v1/snapshot', ''],
  ] as const) {
    t.equal((await almost.raw(method, path, body)).status, 403, `${method} ${path}`)
  }
  const tokens = (await almost.raw('GET', '/v1/acl/tokens')).json as { SecretID: string }[]
  t.ok(tokens.length > 1)
  t.ok(
    tokens.every(token => token.SecretID === '<hidden>'),
    'nor is shown a secret',
  )
  t.notOk(await isManager(face, SecretID))
})
