/**
 * Password policies: what is taken, what is impossible, and what is drawn.
 */
import fc from 'fast-check'
import t from 'tap'
import { type Random, systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { seededRandom } from '../../../src/base/prng.ts'
import {
  drawPassword,
  type PasswordPolicy,
  parsePasswordPolicy,
} from '../../../src/secrets/policy/mod.ts'
import { propertyRuns } from '../../run/budget.ts'

function read(text: string): PasswordPolicy {
  const policy = parsePasswordPolicy(text)
  if (policy instanceof Refusal) throw new Error(policy.text)
  return policy
}

const refusal = (text: string): unknown => {
  const policy = parsePasswordPolicy(text)
  return policy instanceof Refusal ? [policy.status, policy.text] : policy
}

t.test('HCL and JSON', async t => {
  const hcl = `length = 20
    rule "charset" { charset = "abcba" min-chars = 1 }
    rule "charset" { charset = "01" min-chars = 2 }
    rule "charset" { charset = "é" }`
  const policy = read(hcl)
  t.equal(policy.length, 20)
  t.same(policy.characters, ['0', '1', 'a', 'b', 'c', 'é'])
  t.same(
    policy.rules.map(rule => rule.minChars),
    [1, 2, 0],
  )
  const rule = [
    { charset: [{ charset: 'abcba', 'min-chars': 1 }] },
    { charset: { charset: '01', 'min-chars': 2 } },
    { charset: { charset: 'é' } },
  ]
  t.same(read(JSON.stringify({ length: 20, rule })), policy)
  t.ok(read('length = 4 entropy_source = "platform" rule "charset" { charset = "a" }'))
})

t.test('what is refused', async t => {
  const charset = 'rule "charset" { charset = "ab" min-chars = 1 }'
  const cases: [string, string][] = [
    [
      'length',
      'invalid password policy: unable to decode: line 1, column 7: expected "=", a label or "{", the text ends here',
    ],
    [charset, 'invalid password policy: 1 error occurred:\n\t* length must be > 0\n\n'],
    ['length = 20', 'invalid password policy: 1 error occurred:\n\t* no charset specified\n\n'],
    [
      '',
      'invalid password policy: 2 errors occurred:\n\t* length must be > 0\n\t* no charset specified\n\n',
    ],
    [`length = 3 ${charset}`, 'passwords must be between 4 and 100 characters'],
    [`length = 101 ${charset}`, 'passwords must be between 4 and 100 characters'],
    [
      'length = 4 rule "charset" { charset = "ab" min-chars = 5 }',
      'invalid password policy: 1 error occurred:\n\t* specified rules require at least 5 characters but 4 is specified\n\n',
    ],
    [
      'length = 4 rule "charset" { charset = "a\\n" }',
      'invalid password policy: 1 error occurred:\n\t* non-printable character in charset\n\n',
    ],
    [
      'length = 4 rule "charset" { charset = "" min-chars = 1 } rule "charset" { charset = "a" }',
      'unable to construct test password from provided policy: are the rules impossible?',
    ],
    [
      'length = 4 rule "other" { }',
      'invalid password policy: unable to parse rule other: unrecognized rule type other',
    ],
    [
      'length = 4 rule "charset" { charset = 5 }',
      'invalid password policy: unable to parse rule charset: charset must be a text',
    ],
    [
      'length = 4 rule "charset" { charset = "a" min-chars = "x" }',
      'invalid password policy: unable to parse rule charset: min-chars must be a whole number',
    ],
    [
      'length = 4 rule "charset" { charset = "a" min_chars = 1 }',
      'invalid password policy: unable to parse rule charset: unknown key "min_chars"',
    ],
    ['length = 4 rules = 5', 'invalid password policy: unknown key "rules"'],
    ['length = "4"', 'invalid password policy: length must be a whole number'],
    ['length = 4 rule = 5', 'invalid password policy: unable to retrieve rules: expected blocks'],
    [
      `length = 4 entropy_source = "seal" ${charset}`,
      'invalid password policy: not served yet: entropy_source other than platform',
    ],
  ]
  for (const [text, wanted] of cases) t.same(refusal(text), [400, wanted], text)
  const many = Array.from({ length: 257 }, (_, at) => String.fromCodePoint(0x4e00 + at)).join('')
  t.match(refusal(`length = 4 rule "charset" { charset = "${many}" }`), [
    400,
    /charset is too long/,
  ])
  t.match(refusal(`length = 4 ${charset.repeat(65)}`), [400, /more than 64 rules/])
  t.match(refusal(' '.repeat(600_000)), [400, /longer than/])
})

t.test('whatever the policy, what is drawn keeps it', async () => {
  const text = fc.stringMatching(/^[a-f0-3é]{1,8}$/)
  const rule = fc.record({ charset: text, minChars: fc.integer({ min: 0, max: 6 }) })
  const property = fc.property(
    fc.array(rule, { minLength: 1, maxLength: 5 }),
    fc.nat(80),
    (rules, more) => {
      const least = rules.reduce((sum, one) => sum + one.minChars, 0)
      const length = Math.max(4, Math.min(100, least + more))
      const blocks = rules.map(
        one => `rule "charset" { charset = "${one.charset}" min-chars = ${one.minChars} }`,
      )
      const drawn = [...drawPassword(read(`length = ${length} ${blocks.join(' ')}`), systemRandom)]
      if (drawn.length !== length) throw new Error(`${drawn.length} characters`)
      const all = rules.map(one => one.charset).join('')
      if (drawn.some(one => !all.includes(one))) throw new Error('a character of no rule')
      for (const one of rules) {
        const count = drawn.filter(each => one.charset.includes(each)).length
        if (count < one.minChars) throw new Error(`${count} of ${one.charset}`)
      }
    },
  )
  fc.assert(property, { numRuns: propertyRuns() })
})

t.test('rules that leave no choice of how many are kept as well', async t => {
  const ten = ['ab', 'cd', 'ef', 'gh', 'ij', 'kl', 'mn', 'op', 'qr', 'st']
  const blocks = ten.map(one => `rule "charset" { charset = "${one}" min-chars = 10 }`)
  const policy = read(`length = 100 ${blocks.join(' ')}`)
  const drawn = drawPassword(policy, systemRandom)
  for (const one of ten) t.equal([...drawn].filter(each => one.includes(each)).length, 10)
  t.not(drawPassword(policy, systemRandom), drawn)
})

t.test('each character is as likely', async t => {
  const policy = read('length = 100 rule "charset" { charset = "abcdefghijk" min-chars = 1 }')
  const random = seededRandom(Buffer.alloc(16, 7))
  const counts = new Map<string, number>()
  const draws = 1_000
  for (let at = 0; at < draws; at++) {
    for (const one of drawPassword(policy, random)) counts.set(one, (counts.get(one) ?? 0) + 1)
  }
  t.equal(counts.size, 11)
  // 100,000 draws of one in eleven: 9,091 each, with a deviation of 91. The first eight would have
  // 4 % more if bytes were merely divided: 256 = 23 * 11 + 3.
  for (const [one, count] of counts) t.ok(Math.abs(count - 9_091) < 455, `${one}: ${count}`)
})

t.test('bytes beyond the last whole share are not used', async t => {
  let at = 0
  const bytes = (sizeBytes: number): Buffer =>
    Buffer.from(Array.from({ length: sizeBytes }, () => at++ % 256))
  const policy = read('length = 100 rule "charset" { charset = "abc" }')
  const random = { ...systemRandom, bytes } satisfies Random
  const drawn = Array.from({ length: 51 }, () => drawPassword(policy, random)).join('')
  // A draw takes up to 100 of 256 bytes: the first hundred of each are looked at here.
  t.equal(drawn.length, 5_100)
  t.ok(drawn.startsWith('abcabcabc'))
  const all: number[] = []
  const counted = {
    ...random,
    bytes: (sizeBytes: number) => Buffer.alloc(sizeBytes, all.push(1) === 1 ? 255 : 0),
  }
  t.equal(drawPassword(policy, counted), 'a'.repeat(100), 'a byte of 255 is no share of three')
  t.equal(all.length, 2)
})

t.test('the same seed draws the same', async t => {
  const policy = read('length = 30 rule "charset" { charset = "abcdef0123" min-chars = 3 }')
  const draw = () => drawPassword(policy, seededRandom(Buffer.alloc(16, 1)))
  t.equal(draw(), draw())
})
