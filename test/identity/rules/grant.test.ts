/**
 * Grants of one pattern are joined: capabilities add up, a denial or a higher rank stands alone.
 */
import t from 'tap'
import { bits, type Grant, joinGrants, type Pattern } from '../../../src/identity/rules/grant.ts'

function grant(rule: string, allowed: number, rank = 0, text = 'a'): Grant<string> {
  const pattern: Pattern = { form: 'exact', text }
  const origin = { policyId: '', policyName: '', rule }
  return { resource: 'r', pattern, allowed, rank, origin }
}

/** What the joined grants allow, and the rule that each comes from. */
const joined = (...grants: Grant<string>[]): string[] =>
  [...joinGrants(grants).values()].flat().map(one => `${one.allowed} ${one.origin.rule}`)

t.test('grants of one pattern', async t => {
  const { read, list, write } = bits
  t.same(joined(), [])
  t.same(joined(grant('one', read), grant('two', read)), [`${read} one`])
  // Neither alone gives both, as is possible in other languages than Consul's.
  t.same(joined(grant('one', list), grant('two', write)), [`${list | write} one`])
  t.same(joined(grant('one', read), grant('two', read | write)), [`${read | write} two`])
  t.same(joined(grant('one', write), grant('two', 0), grant('three', read)), ['0 two'])
  t.same(joined(grant('one', 0), grant('two', read, 1)), [`${read} two`])
  t.same(joined(grant('one', 0, 1), grant('two', read)), ['0 one'])
})

t.test('other patterns and resources stay apart', async t => {
  const prefix: Grant<string> = {
    ...grant('prefix', 1),
    pattern: { form: 'prefix', text: 'a' },
  }
  const other = { ...grant('other', 1), resource: 's' }
  t.same(joined(grant('a', 1), prefix, other, grant('b', 1, 0, 'b')), [
    '1 a',
    '1 prefix',
    '1 b',
    '1 other',
  ])
})
