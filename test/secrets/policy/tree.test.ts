/**
 * Looking up a pattern costs what the path is long, not what there are patterns.
 */
import t from 'tap'
import { patternOf } from '../../../src/secrets/policy/pattern.ts'
import { PatternTree } from '../../../src/secrets/policy/tree.ts'

const tree = (texts: readonly string[]) =>
  new PatternTree(texts.map(text => ({ pattern: patternOf(text) })))

t.test('among thousands', async t => {
  const many = Array.from({ length: 5_000 }, (_, at) => [
    ...[`app/${at}/*`, `app/${at}/+/config`, `+/team-${at}/*`, `open${at}*`],
  ]).flat()
  const patterns = tree(many)
  t.equal(patterns.find('app/77/x')?.pattern.text, 'app/77/*')
  t.equal(patterns.find('app/77/x/config')?.pattern.text, 'app/77/+/config')
  t.equal(patterns.find('any/team-4999/x')?.pattern.text, '+/team-4999/*')
  t.equal(patterns.find('open4998z')?.pattern.text, 'open4998*')
  t.equal(patterns.find('other'), undefined)
})

t.test('what cannot cover the path is not looked at', async t => {
  let looks = 0
  const counted = Array.from({ length: 4_096 }, (_, at) => {
    const words = at.toString(2).padStart(12, '0').replaceAll('1', '+/').replaceAll('0', 'a/')
    const pattern = patternOf(`+/${words}b${at}`)
    return {
      get pattern() {
        looks++
        return pattern
      },
    }
  })
  const patterns = new PatternTree(counted)
  looks = 0
  t.equal(patterns.find(`x/${'a/'.repeat(12)}b0`)?.pattern.text, `+/${'a/'.repeat(12)}b0`)
  t.ok(looks < 64, `${looks} patterns`)
})

t.test('a deep path', async t => {
  const deep = 'a/'.repeat(2_000)
  t.equal(tree([`${'+/'.repeat(2_000)}*`]).find(deep)?.pattern.plusCount, 2_000)
})
