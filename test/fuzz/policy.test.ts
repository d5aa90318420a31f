/**
 * Texts of Vault's policies: any text is read or refused at once, with a line and without a word of
 * it that is not a name; what is read can be decided on, filled and linted.
 */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/prng.ts'
import {
  compilePolicies,
  decide,
  drawPassword,
  lintPolicy,
  type PolicyIdentity,
  PolicyProblem,
  parsePasswordPolicy,
  parsePolicy,
  plainText,
  resultantAcl,
} from '../../src/secrets/policy/mod.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, stockOf } from './mutate.ts'

const texts = [
  'path "secret/data/*" { capabilities = ["read", "list"] }\npath "a/+/b" { policy = "write" }',
  'path "a" { capabilities = ["update"] allowed_parameters = { "x" = ["a*", 1], "*" = [] } }',
  'path "{{identity.entity.name}}/*" { capabilities = ["deny"] expiration = "2026-11-26T00:00:00Z" }',
  'path "a/" { capabilities = ["list"] pagination_limit = 5 min_wrapping_ttl = "5s" max_wrapping_ttl = 9 }',
  'path "b" { capabilities = ["list"] list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}" }',
  '{"name":"x","path":{"a/*":{"capabilities":["sudo","patch","scan"]},"b":[{"policy":"read"}]}}',
]
const passwords = [
  'length = 20 rule "charset" { charset = "abc" min-chars = 1 } rule "charset" { charset = "01" }',
  '{"length":30,"rule":[{"charset":{"charset":"abc","min-chars":5}}]}',
]
const tokens = [
  '{',
  '}',
  '[',
  ']',
  '=',
  '"',
  ',',
  '*',
  '+',
  '/',
  '+*',
  '{{',
  '}}',
  '\n',
  '99',
  'true',
]
const words = [
  'path "x"',
  'capabilities',
  '"deny"',
  'required_parameters',
  '"é"',
  '<<EOF\n',
  '__proto__',
]
const stock = stockOf(
  [...texts, ...texts.map(one => Buffer.from(one).toString('base64'))],
  [...tokens, ...words],
)
const identity: PolicyIdentity = { id: 'e', name: 'n', metadata: {}, aliases: [], groups: [] }

t.test('any text as a policy', async t => {
  const target = {
    make: (draw: Draw) => mutated(draw, stock).toString(),
    run: hold,
    show: JSON.stringify,
  }
  t.ok((await untilBudget("Vault's policies", 300_000, casesOf(target))) > 0)
})

function hold(sent: string): void {
  const text = plainText(sent)
  const document = parsePolicy(text)
  const findings = lintPolicy(text, [{ path: 'secret/', type: 'kv', version: 2 }], 0)
  const isRefused = findings.some(({ severity }) => severity === 'error')
  if (isRefused !== document instanceof PolicyProblem) throw new Error('findings say otherwise')
  const lines = text.split('\n').length
  if (document instanceof PolicyProblem) {
    if (document.line < 1 || document.line > lines) throw new Error(`line ${document.line}`)
    if (![400, 501].includes(document.status)) throw new Error(`status ${document.status}`)
    return
  }
  const source = { policy: 'p', namespace: '', document }
  for (const who of [undefined, identity]) {
    const compiled = compilePolicies([source], { identity: who })
    resultantAcl(compiled, 0)
    for (const path of ['a', 'a/b/c', 'secret/data/x', ...document.blocks.map(one => one.path)]) {
      const data = { x: 'ab', limit: 3 }
      for (const operation of ['update', 'list'] as const) {
        const { allowed, rule } = decide(compiled, { operation, path, data, nowMs: 0 })
        if (allowed && rule === undefined) throw new Error(`${path} is allowed by nothing`)
      }
    }
  }
}

t.test('any text as a password policy', async t => {
  const passwordStock = stockOf(passwords, [
    ...tokens,
    'min-chars',
    'length',
    'charset',
    '100',
    '0',
  ])
  const target = {
    make: (draw: Draw) => mutated(draw, passwordStock).toString(),
    run: (text: string) => {
      const policy = parsePasswordPolicy(text)
      if (policy instanceof Refusal) return
      const drawn = [...drawPassword(policy, seededRandom(Buffer.alloc(16)))]
      if (drawn.length !== policy.length) throw new Error(`${drawn.length} characters`)
    },
    show: JSON.stringify,
  }
  t.ok((await untilBudget('password policies', 100_000, casesOf(target))) > 0)
})
