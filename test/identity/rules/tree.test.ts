/**
 * The tree of patterns: every look-up is what going through the list gives.
 */
import t from 'tap'
import type { Grant } from '../../../src/identity/rules/grant.ts'
import { GrantTree } from '../../../src/identity/rules/tree.ts'

function grant(form: 'exact' | 'prefix', text: string, allowed: number): Grant<string> {
  const origin = { policyId: '', policyName: '', rule: `${form} ${text}` }
  return { resource: 'r', pattern: { form, text }, allowed, rank: 0, origin }
}

const texts = ['', 'a', 'ab', 'abc', 'abd', 'b', 'bcd']
const rule = (found: Grant<string> | undefined): string | undefined => found?.origin.rule

t.test('look-ups in every set of three patterns, in every order', async t => {
  const wrong: string[] = []
  for (const one of texts) {
    for (const two of texts) {
      for (const three of texts) check([one, two, three], wrong)
    }
  }
  t.same(wrong, [])
})

function check(chosen: readonly string[], wrong: string[]): void {
  const [one = '', two = '', three = ''] = chosen
  if (one === two) return
  const grants = [grant('prefix', one, 3), grant('prefix', two, 1), grant('exact', three, 7)]
  const tree = new GrantTree(grants)
  for (const name of [...texts, 'abcd', 'c']) {
    const prefixes = grants
      .filter(({ pattern }) => pattern.form === 'prefix' && name.startsWith(pattern.text))
      .sort((a, b) => b.pattern.text.length - a.pattern.text.length)
    const exact = grants.find(({ pattern }) => pattern.form === 'exact' && pattern.text === name)
    const below = grants.filter(({ pattern }) => pattern.text.startsWith(name))
    const expected = [
      rule(exact ?? prefixes[0]),
      rule(prefixes[0]),
      below.reduce((bits, { allowed }) => bits & allowed, -1),
      below.find(({ allowed }) => (allowed & 4) === 0) !== undefined,
      rule(exact),
      rule(grants.find(({ pattern }) => pattern.form === 'prefix' && pattern.text === name)),
    ]
    const found = [
      rule(tree.find(name)),
      rule(tree.find(name, true)),
      tree.commonUnder(name),
      tree.lackingUnder(name, 4) !== undefined,
      rule(tree.at({ form: 'exact', text: name })),
      rule(tree.at({ form: 'prefix', text: name })),
    ]
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      wrong.push(`${chosen} ${name}: ${found} instead of ${expected}`)
    }
  }
}

t.test('the grants that allow or lack a capability', async t => {
  const read = grant('prefix', 'a', 1)
  const write = grant('exact', 'b', 7)
  const tree = new GrantTree([read, write])
  t.equal(tree.allowing(4), write)
  t.equal(tree.allowing(1), read)
  t.equal(tree.allowing(8), undefined)
  t.equal(tree.lackingUnder('', 4), read)
  t.equal(tree.lackingUnder('', 4, read), undefined)
})

t.test('two thousand patterns, each the start of the next', async t => {
  const name = 'x'.repeat(2_000)
  const tree = new GrantTree([...name].map((_, at) => grant('prefix', name.slice(0, at), 1)))
  t.equal(tree.find(name)?.pattern.text.length, 1_999)
  t.equal(tree.commonUnder(''), 1)
})
