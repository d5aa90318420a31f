/**
 * Regular expressions by themselves: compiled once, or refused in Go's words.
 */
import t from 'tap'
import { compileRegexp } from '../../src/filter/regexp.ts'

t.test('matches, and finds groups', async t => {
  const compiled = compileRegexp('^web-(\\d+)$')
  if (typeof compiled === 'string') throw new Error(compiled)
  t.ok(compiled.matches('web-12'))
  t.notOk(compiled.matches('web-'))
  t.strictSame(compiled.groups('web-12'), ['web-12', '12'])
  t.equal(compiled.groups('db-12'), undefined)
})

t.test('what is no expression is told', async t => {
  t.match(compileRegexp('('), /^error parsing regexp: missing closing \)/)
  t.match(compileRegexp('(?=a)'), /^error parsing regexp: invalid or unsupported Perl syntax/)
  t.match(compileRegexp('a{1000}'), /more than 256 steps/)
})

t.test('what takes too long finds nothing', async t => {
  const compiled = compileRegexp('(a|a|a|a|a|a|a|a)*(a?){30}b')
  if (typeof compiled === 'string') throw new Error(compiled)
  t.equal(compiled.groups('a'.repeat(20_000)), undefined)
  t.equal(compiled.matches('a'.repeat(200_000)), false)
})
