/**
 * Texts of policies: what each key says, and how bad ones are refused.
 */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { bits, capabilityNames } from '../../../src/secrets/policy/document.ts'
import {
  capabilities,
  type PolicyDocument,
  PolicyProblem,
  parsePolicy,
  plainText,
} from '../../../src/secrets/policy/mod.ts'

function read(text: string): PolicyDocument {
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  return document
}

/** What is wrong with a text. */
function problem(text: string): { status: number; text: string; line: number } | undefined {
  const document = parsePolicy(text)
  return document instanceof PolicyProblem ? { ...document } : undefined
}

const only = (text: string) => {
  const { blocks } = read(text)
  t.equal(blocks.length, 1, text)
  return blocks[0]!
}

t.test('all keys of a block', async t => {
  const block = only(`
    name = "ops"
    path "/secret/+/a*" {
      comment = "of the team"
      capabilities = ["create", "patch", "scan", "sudo", "list"]
      required_parameters = ["Name", "id"]
      allowed_parameters = { "Bar" = ["a*", 5, true, ["x", 1]] "*" = [] }
      denied_parameters { baz = [] }
      min_wrapping_ttl = "1m30s"
      max_wrapping_ttl = 120
      mfa_methods = ["totp"]
      expiration = "2026-11-26T10:00:00.5+01:00"
      pagination_limit = 50
      list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}"
    }`)
  const { allowed, denied, keyFilter, set, ...rest } = block
  t.same(capabilityNames(set), ['create', 'list', 'patch', 'scan', 'sudo'])
  t.same(
    [...allowed],
    [
      ['bar', ['a*', 5, true, ['x', 1]]],
      ['*', []],
    ],
  )
  t.same([...denied], [['baz', []]])
  t.ok(keyFilter)
  t.same(rest, {
    path: 'secret/+/a*',
    isTemplated: false,
    line: 3,
    required: ['name', 'id'],
    minWrapTtlMs: 90_000,
    maxWrapTtlMs: 120_000,
    mfaMethods: ['totp'],
    expiresAtMs: Date.parse('2026-11-26T09:00:00.500Z'),
    pageLimit: 50,
    comment: 'of the team',
  })
})

t.test('HCL and JSON say the same', async t => {
  const hcl = `path "a" { capabilities = ["read"] denied_parameters = { "x" = ["1"] } }
path "b/*" { policy = "write" }`
  const jsons = [
    {
      path: {
        a: { capabilities: ['read'], denied_parameters: { x: ['1'] } },
        'b/*': { policy: 'write' },
      },
    },
    {
      path: [
        { a: { capabilities: ['read'], denied_parameters: { x: ['1'] } } },
        { 'b/*': [{ policy: 'write' }] },
      ],
    },
  ]
  const bare = (text: string) => read(text).blocks.map(one => ({ ...one, line: 0 }))
  for (const json of jsons) t.same(bare(JSON.stringify(json)), bare(hcl))
  t.same(
    bare(
      'path = { "a" = { capabilities = ["read"] denied_parameters = { x = ["1"] } } "b/*" = { policy = "write" } }',
    ),
    bare(hcl),
  )
})

t.test('base64 of either is taken, and nothing else is', async t => {
  for (const text of [
    'path "a" { capabilities = ["read"] }',
    '{"path":{"é":{"capabilities":["list"]}}}',
  ]) {
    const sent = Buffer.from(text).toString('base64')
    t.equal(plainText(sent), text)
    t.equal(plainText(sent.replace(/.{20}/g, '$&\r\n')), text, 'on several lines')
    t.equal(plainText(text), text)
  }
  for (const text of ['abc', 'ab=c', '====', 'a b=', 'YQ=']) t.equal(plainText(text), text)
  t.equal(plainText(''), '')
})

t.test('capabilities', async t => {
  for (const one of capabilities) {
    t.equal(only(`path "a" { capabilities = ["${one}"] }`).set, bits[one])
  }
  const names = (text: string) => capabilityNames(only(text).set)
  t.same(names('path "a" { capabilities = ["read", "deny", "sudo"] }'), ['deny'])
  t.same(names('path "a" { capabilities = [] }'), ['deny'])
  t.same(names('path "a" { }'), ['deny'])
  t.same(names('path "a" { policy = "deny" capabilities = ["read"] }'), ['deny'])
  t.same(names('path "a" { policy = "read" }'), ['list', 'read'])
  t.same(names('path "a" { policy = "write" }'), ['create', 'delete', 'list', 'read', 'update'])
  t.same(names('path "a" { policy = "sudo" capabilities = ["patch"] }'), [
    ...['create', 'delete', 'list', 'patch', 'read', 'sudo', 'update'],
  ])
})

t.test('each block is kept, with its line', async t => {
  const text =
    'path "a" { capabilities = ["deny"] }\n\npath "a" {\n capabilities = ["read"] }\npath "b" {}'
  t.same(
    read(text).blocks.map(({ path, line }) => [path, line]),
    [
      ['a', 1],
      ['a', 3],
      ['b', 5],
    ],
  )
  t.same(read('').blocks, [])
  t.same(read('{}').blocks, [])
})

t.test('bad texts are refused in Vault’s words', async t => {
  const cases: [string, string, number?][] = [
    ['foo = 1', '1 error occurred:\n\t* invalid key "foo" on line 1\n\n'],
    [
      'path "a" {}\nfoo "x" {}\nbar = 2',
      '2 errors occurred:\n\t* invalid key "foo" on line 2\n\t* invalid key "bar" on line 3\n\n',
      2,
    ],
    [
      'path "a" {\n capability = [] }',
      '1 error occurred:\n\t* path "a": invalid key "capability" on line 2\n\n',
      2,
    ],
    ['path "x" { capabilities = ["read", "y"] }', 'path "x": invalid capability "y"'],
    ['path "x" { capabilities = ["root"] }', 'path "x": invalid capability "root"'],
    ['path "x" { capabilities = ["Read"] }', 'path "x": invalid capability "Read"'],
    ['path "x" { capabilities = ["deny", "y"] }', 'path "x": invalid capability "y"'],
    ['path "x" { policy = "all" }', 'path "x": invalid policy "all"'],
    ['path "a/+*" { }', `path "a/+*": invalid use of wildcards ('+*' is forbidden)`],
    ['path "a+*b" { }', `path "a+*b": invalid use of wildcards ('+*' is forbidden)`],
    ['path "{{a" {}', 'failed to validate policy templating: unbalanced templating characters'],
    ['path "a}}" {}', 'failed to validate policy templating: unbalanced templating characters'],
    ['path "{{a}}}}" {}', 'failed to validate policy templating: unbalanced templating characters'],
    [
      'path "{{a{{b}}" {}',
      'failed to validate policy templating: unbalanced templating characters',
    ],
    ['path "x" { expiration = "tomorrow" }', 'path "x": invalid expiration time: "tomorrow"'],
    [
      'path "x" { expiration = "2026-13-26T10:00:00Z" }',
      'path "x": invalid expiration time: "2026-13-26T10:00:00Z"',
    ],
    [
      'path "x" { min_wrapping_ttl = "2m" max_wrapping_ttl = "1m" }',
      'max_wrapping_ttl cannot be less than min_wrapping_ttl',
    ],
    ['path "x" { min_wrapping_ttl = "soon" }', 'error parsing min_wrapping_ttl: not a duration'],
    ['path "x" { max_wrapping_ttl = -5 }', 'error parsing max_wrapping_ttl: not a duration'],
    ['path "x" { capabilities = "read" }', 'path "x": capabilities: expected a list of texts'],
    ['path "x" { capabilities = [1] }', 'path "x": capabilities: expected a list of texts'],
    [
      'path "x" { allowed_parameters = ["a"] }',
      'path "x": allowed_parameters: expected names with lists of values',
    ],
    [
      'path "x" { denied_parameters = { "a" = "b" } }',
      'path "x": denied_parameters: expected lists of values',
    ],
    ['path "x" { pagination_limit = 1.5 }', 'path "x": pagination_limit: expected a whole number'],
    ['path "x" { pagination_limit = -1 }', 'path "x": pagination_limit: expected a whole number'],
    ['path "x" { comment = 5 }', 'path "x": comment: expected a text'],
    ['path = "x"', '"path": expected a block'],
    ['path "x" = 5', ''],
    ['path { x = 5 }', '"x": expected a block'],
    [
      'path "x" "y" { capabilities = ["read"] }',
      '1 error occurred:\n\t* path "x": invalid key "y" on line 1\n\n',
    ],
    [
      'path "x" {\n capabilities = ["deny"]\n capabilities = ["read"] }',
      'The argument "capabilities" at 3:2 was already set. Each argument can only be defined once',
      3,
    ],
    [
      'path "x" { list_scan_response_keys_filter_path = "{{ .key }}" capabilities = ["read"] }',
      'list_scan_response_keys_filter_path needs to be used on a path with the list capability',
    ],
    [
      'path "x" { list_scan_response_keys_filter_path = "a" capabilities = ["list"] }',
      'list_scan_response_keys_filter_path: resulted in same path for two different keys',
    ],
    [
      'path "x" { list_scan_response_keys_filter_path = "{{ .name }}{{ .key }}" capabilities = ["list"] }',
      'list_scan_response_keys_filter_path: only .path, .key and replace are served',
    ],
    ['name = 5', 'name: expected a text'],
    ['path "x" {', ''],
    ['{"path":', ''],
  ]
  for (const [text, wanted, line = 1] of cases) {
    const found = problem(text)
    t.equal(found?.status, 400, text)
    t.equal(found?.line, line, text)
    if (wanted === '') t.match(found?.text, /^failed to parse policy: line 1, column \d+: /)
    else t.equal(found?.text, `failed to parse policy: ${wanted}`)
  }
})

t.test('what is not served yet says so', async t => {
  const text = 'path "x" {\n control_group = { factor "ops" { } } }'
  t.same(problem(text), { status: 501, text: 'not served yet: control_group in a policy', line: 2 })
})

t.test('durations', async t => {
  const cases: [string, number][] = [
    ['0', 0],
    ['60', 60_000],
    ['"60"', 60_000],
    ['""', 0],
    ['"1h1m"', 3_660_000],
    ['"2d"', 172_800_000],
    ['"1d12h"', 129_600_000],
    ['"500ms"', 500],
  ]
  for (const [text, ms] of cases) {
    t.equal(only(`path "x" { min_wrapping_ttl = ${text} }`).minWrapTtlMs, ms, text)
  }
})

t.test('a name of a parameter in two cases is one name', async t => {
  const { allowed } = only('path "x" { allowed_parameters = { "A" = ["1"] "a" = ["2"] } }')
  t.same([...allowed], [['a', ['1', '2']]])
  const any = only('path "x" { allowed_parameters = { "A" = ["1"] "a" = [] } }')
  t.same([...any.allowed], [['a', []]])
})

t.test('templates are seen', async t => {
  t.equal(only('path "a/{{identity.entity.id}}/*" {}').isTemplated, true)
  t.equal(read('path "a" {} path "{{x}}" {}').isTemplated, true)
  t.equal(read('path "a" {}').isTemplated, false)
})

t.test('every bound', async t => {
  const { policyBlocks, policyPathChars, policyTextChars, policyParameters } = limits
  const refused = (text: string, pattern: RegExp) => t.match(problem(text)?.text, pattern)
  refused(' '.repeat(policyTextChars + 1), /longer than/)
  refused('path "a" {}\n'.repeat(policyBlocks + 1), /more than 8192 paths/)
  refused(`path "${'a'.repeat(policyPathChars + 1)}" {}`, /longer than 4096 characters/)
  const names = Array.from({ length: policyParameters + 1 }, (_, at) => `"a${at}" = []`)
  refused(`path "x" { allowed_parameters = { ${names.join(' ')} } }`, /too many/)
  const values = Array.from({ length: limits.policyParameterValues + 1 }, (_, at) => at)
  refused(`path "x" { denied_parameters = { a = [${values}] } }`, /too many/)
  t.equal(read('path "a" {}\n'.repeat(policyBlocks)).blocks.length, policyBlocks)
})
