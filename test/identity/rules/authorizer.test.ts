/**
 * Decisions: which rule decides, what holds where none does, and the explanation of both.
 */
import t from 'tap'
import { type Access, access, accessToAll, accessToAny } from '../../../src/base/who.ts'
import type { Authorizer } from '../../../src/identity/rules/authorizer.ts'
import { compile, parseRules, RulesProblem } from '../../../src/identity/rules/mod.ts'

type Options = Partial<Parameters<typeof compile>[1]>

/** An authorizer of one policy for each text. */
function of(texts: readonly string[], options: Options = {}): Authorizer {
  const sources = texts.map((text, at) => {
    const rules = parseRules(text)
    if (rules instanceof RulesProblem) throw new Error(rules.text)
    return { policyId: `${at}`, policyName: `policy-${at}`, rules }
  })
  return compile(sources, { defaultPolicy: 'deny', keyListPolicy: false, ...options })
}

/** What of these is allowed, as `resource:capability name`. */
function allowed(authorizer: Authorizer, ...asked: string[]): string[] {
  return asked.filter(one => authorizer.may(accessOf(one)))
}

function accessOf(text: string): Access {
  const [, resource, capability, name] = /^(\w+):(\w+) ?(.*)$/.exec(text) ?? []
  return access(capability as Access['capability'], resource as Access['resource'], name)
}

t.test('exact before prefix, the longest prefix, and the default', async t => {
  const rules = `
    key_prefix "" { policy = "read" }
    key_prefix "a/" { policy = "write" }
    key_prefix "a/b/" { policy = "deny" }
    key "a/b/c" { policy = "write" }`
  const asked = ['key:read x', 'key:write x', 'key:write a/x', 'key:read a/b/x', 'key:write a/b/c']
  t.same(allowed(of([rules]), ...asked), ['key:read x', 'key:write a/x', 'key:write a/b/c'])
  t.same(allowed(of([rules]), 'service:read x', 'session:write n'), [])
  t.same(allowed(of([]), 'key:read x', 'acl:read'), [])
})

t.test('the same rule in several policies: deny, write, list, read', async t => {
  const levels = ['deny', 'write', 'list', 'read']
  const wanted = ['key:read a', 'key:list a', 'key:write a']
  const gives = [[], wanted, wanted.slice(0, 2), wanted.slice(0, 1)]
  for (const [at, stronger] of levels.entries()) {
    for (const weaker of levels.slice(at)) {
      for (const pair of [
        [stronger, weaker],
        [weaker, stronger],
      ]) {
        const texts = pair.map(level => `key "a" { policy = "${level}" }`)
        t.same(allowed(of(texts, { keyListPolicy: true }), ...wanted), gives[at], pair.join())
      }
    }
  }
})

t.test('a default of allow closes ACLs alone; management closes nothing', async t => {
  const asked = ['acl:read', 'acl:write', 'operator:write', 'key:write a', 'key_prefix:write a']
  t.same(allowed(of([], { defaultPolicy: 'allow' }), ...asked), asked.slice(2))
  const texts = ['acl = "read" key "a" { policy = "deny" }']
  t.same(allowed(of(texts, { defaultPolicy: 'allow' }), ...asked), ['acl:read', 'operator:write'])
  const manager = of(texts, { management: true })
  t.same(allowed(manager, ...asked), asked)
  t.ok(manager.may(accessToAll('write', 'node')))
})

t.test('mesh and peering follow operator where they have no rule', async t => {
  const asked = ['mesh:read', 'mesh:write', 'peering:read', 'operator:write', 'keyring:read']
  t.same(allowed(of(['operator = "read"']), ...asked), ['mesh:read', 'peering:read'])
  t.same(allowed(of(['operator = "write" mesh = "read"']), ...asked), [
    'mesh:read',
    'peering:read',
    'operator:write',
  ])
  t.same(allowed(of(['operator = "write" mesh = "deny" peering = "deny"']), ...asked), [
    'operator:write',
  ])
})

t.test('listing keys is asked for where the configuration says so', async t => {
  const texts = ['key_prefix "a/" { policy = "list" } key_prefix "b/" { policy = "read" }']
  const asked = ['key:list a/', 'key:list b/', 'key:list c/']
  t.same(allowed(of(texts), ...asked), asked)
  t.same(allowed(of(texts, { keyListPolicy: true }), ...asked), ['key:list a/'])
})

t.test('a recursive delete needs everything under the prefix', async t => {
  const asked = ['key_prefix:write a', 'key_prefix:write a/', 'key_prefix:write a/b']
  const write = 'key_prefix "a" { policy = "write" }'
  t.same(allowed(of([write]), ...asked), asked)
  t.same(allowed(of([write, 'key "a/b/c" { policy = "read" }']), ...asked), [])
  t.same(allowed(of([write, 'key "a" { policy = "read" }']), ...asked), asked.slice(1))
  t.same(allowed(of([write, 'key_prefix "a/c" { policy = "deny" }']), ...asked), asked.slice(2))
  // A rule for one key says nothing about what is below it.
  t.same(allowed(of(['key "a/" { policy = "write" }']), ...asked), [])
  const open = { defaultPolicy: 'allow' } as const
  t.same(allowed(of(['key "a/b" { policy = "read" }'], open), ...asked, 'key_prefix:write b'), [
    'key_prefix:write b',
  ])
})

t.test('a prefix of bytes that ends within a character covers what begins with it', async t => {
  const text = 'key_prefix "" { policy = "write" } key "é" { policy = "deny" }'
  t.same(allowed(of([text]), 'key_prefix:write \ufffd', 'key_prefix:write a\ufffd'), [
    'key_prefix:write a\ufffd',
  ])
})

t.test('intentions follow the rule of the service unless it says more', async t => {
  const asked = ['intention:read web', 'intention:write web']
  const cases: [string[], string[]][] = [
    [['service "web" { policy = "read" }'], asked.slice(0, 1)],
    [['service "web" { policy = "write" }'], asked.slice(0, 1)],
    [['service "web" { policy = "deny" }'], []],
    [['service "web" { policy = "read" intentions = "write" }'], asked],
    [['service "web" { policy = "write" intentions = "deny" }'], []],
    [['service "web" { policy = "deny" intentions = "read" }'], asked.slice(0, 1)],
    [
      [
        'service "web" { policy = "deny" }',
        'service "web" { policy = "read" intentions = "write" }',
      ],
      asked,
    ],
    [['service_prefix "" { policy = "read" intentions = "write" }'], asked],
    [['identity "web" { policy = "read" intentions = "write" }'], []],
  ]
  for (const [texts, may] of cases) t.same(allowed(of(texts), ...asked), may, texts.join())
})

t.test('intentions towards all services: any to read, all to write', async t => {
  const asked = ['intention:read *', 'intention:write *']
  const one = 'service "web" { policy = "read" intentions = "write" }'
  const every = 'service_prefix "" { policy = "read" intentions = "write" }'
  t.same(allowed(of([]), ...asked), [])
  t.same(allowed(of([one]), ...asked), asked.slice(0, 1))
  t.same(allowed(of([every]), ...asked), asked)
  t.same(allowed(of([every, 'service "db" { policy = "read" }']), ...asked), asked.slice(0, 1))
  t.same(
    allowed(of(['service_prefix "" { policy = "deny" }'], { defaultPolicy: 'allow' }), ...asked),
    [],
  )
})

t.test('on any name, on every name', async t => {
  const both = (authorizer: Authorizer, capability: Access['capability'], resource: 'node') => [
    authorizer.may(accessToAny(capability, resource)),
    authorizer.may(accessToAll(capability, resource)),
  ]
  const one = of(['node "a" { policy = "write" }'])
  t.same(both(one, 'write', 'node'), [true, false])
  t.same(both(of([]), 'read', 'node'), [false, false])
  const every = 'node_prefix "" { policy = "read" }'
  t.same(both(of([every]), 'read', 'node'), [true, true])
  t.same(both(of([every, 'node "a" { policy = "deny" }']), 'read', 'node'), [true, false])
  const open = of(['node "a" { policy = "read" }'], { defaultPolicy: 'allow' })
  t.same(
    [both(open, 'read', 'node'), both(open, 'write', 'node')],
    [
      [true, true],
      [true, false],
    ],
  )
  // A rule for the empty name is one for no name, not for all.
  t.same(both(of(['node "" { policy = "read" }']), 'read', 'node'), [true, false])
})

t.test('an explanation names the rule, its policy and line', async t => {
  const authorizer = of(
    ['# nothing here\nkey_prefix "a" { policy = "read" }', 'key_prefix "a" { policy = "deny" }'],
    { keyListPolicy: true },
  )
  t.same(authorizer.explain(access('read', 'key', 'ab')), {
    allowed: false,
    reason: 'rule',
    rule: {
      text: 'key_prefix "a" { policy = "deny" }',
      policyId: '1',
      policyName: 'policy-1',
      line: 1,
    },
    smallest: 'key "ab" { policy = "read" }',
  })
  const below = of(['key "ab" { policy = "read" } key_prefix "" { policy = "deny" }'])
  const remove = below.explain(access('write', 'key_prefix', 'a'))
  t.equal(
    remove.rule?.text,
    'key_prefix "" { policy = "deny" }',
    'what covers it, not what is below',
  )
  const read = of(['acl = "read"', '\nacl = "read"']).explain(access('read', 'acl'))
  t.same([read.rule?.policyId, read.rule?.line, read.smallest], ['0', 1, undefined])
})

t.test('explanations without a rule', async t => {
  const nothing = { rule: undefined, smallest: undefined }
  const wanted = access('write', 'node', 'n1')
  const list = access('list', 'key', 'a')
  t.same(of([]).explain(wanted), {
    allowed: false,
    reason: 'default',
    rule: undefined,
    smallest: 'node "n1" { policy = "write" }',
  })
  const open = of([], { defaultPolicy: 'allow' })
  t.same(open.explain(wanted), { allowed: true, reason: 'default', ...nothing })
  t.same(of([]).explain(list), { allowed: true, reason: 'default', ...nothing })
  const manager = of([], { management: true })
  t.same(manager.explain(wanted), { allowed: true, reason: 'management', ...nothing })
})

t.test('the smallest rule that would allow it', async t => {
  const smallest = (wanted: string, ...texts: string[]) =>
    of(texts, { keyListPolicy: true }).explain(accessOf(wanted)).smallest
  const cases: [string | undefined, string, ...string[]][] = [
    ['operator = "read"', 'operator:read'],
    ['operator = "write"', 'operator:list'],
    [undefined, 'operator:read', 'operator = "deny"'],
    ['mesh = "read"', 'mesh:read', 'operator = "deny"'],
    ['service "a" { policy = "write" }', 'service:write a', 'service "a" { policy = "read" }'],
    [undefined, 'service:write a', 'service "a" { policy = "deny" }'],
    ['key_prefix "a/" { policy = "list" }', 'key:list a/', 'key_prefix "a/" { policy = "read" }'],
    ['key "a/" { policy = "list" }', 'key:list a/', 'key_prefix "a/" { policy = "deny" }'],
    ['key "a/" { policy = "list" }', 'key:list a/', 'key "a/" { policy = "read" }'],
    [undefined, 'key:list a/', 'key "a/" { policy = "deny" }'],
    ['key_prefix "a" { policy = "write" }', 'key_prefix:write a'],
    [undefined, 'key_prefix:write a', 'key_prefix "a" { policy = "deny" }'],
    [undefined, 'key_prefix:write a', 'key "ab" { policy = "read" }'],
    ['service "a" { policy = "read" }', 'intention:read a'],
    ['service "a" { policy = "read" intentions = "write" }', 'intention:write a'],
    [
      'service "a" { policy = "read" intentions = "read" }',
      'intention:read a',
      'service "a" { policy = "deny" }',
    ],
    [undefined, 'intention:read a', 'service "a" { policy = "read" intentions = "deny" }'],
    ['service_prefix "" { policy = "read" intentions = "write" }', 'intention:write *'],
    [undefined, 'intention:write *', 'service "a" { policy = "read" }'],
    ['service "<name>" { policy = "read" }', 'intention:read *'],
    // Of no kind that has rules.
    [undefined, 'txn:read a'],
  ]
  for (const [rule, ...rest] of cases) t.equal(smallest(...rest), rule, rest.join())
  const ranged = (wanted: Access, ...texts: string[]) => of(texts).explain(wanted).smallest
  const all = accessToAll('read', 'node')
  t.equal(ranged(accessToAny('write', 'service')), 'service "<name>" { policy = "write" }')
  t.equal(ranged(accessToAny('read', 'intention')), 'service "<name>" { policy = "read" }')
  t.equal(ranged(all), 'node_prefix "" { policy = "read" }')
  t.equal(ranged(all, 'node "a" { policy = "deny" }'), undefined)
})

t.test('fingerprints tell apart what decides otherwise, and nothing else', async t => {
  const a = 'key "a" { policy = "read" }'
  const b = 'service "a" { policy = "write" }'
  const of1 = (texts: string[], options?: Options) => of(texts, options).fingerprint
  const same = [of1([a, b]), of1([b, a]), of1([`${b}\n${a}`, a])]
  t.equal(new Set(same).size, 1)
  const others = [
    of1([a]),
    of1([b]),
    of1([]),
    of1([a, b], { defaultPolicy: 'allow' }),
    of1([a, b], { keyListPolicy: true }),
    of1([a, b], { management: true }),
    of1([a, 'service_prefix "a" { policy = "write" }']),
    of1([a, 'service "a" { policy = "write" intentions = "write" }']),
    of1([a, 'service "a" { policy = "read" }']),
  ]
  t.equal(new Set([...same, ...others]).size, others.length + 1)
  t.equal(of1([a], { management: true }), of1([b], { management: true, defaultPolicy: 'allow' }))
})
