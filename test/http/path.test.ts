/**
 * Paths: decoded once, cleaned as Go's mux cleans them.
 */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { cleanPath, isUnclean, pathIn, queryIn, readOpenPart } from '../../src/http/path.ts'

const open = (path: string) => readOpenPart(path, '/v1/kv/')

t.test('trap 29: escapes are decoded once', async t => {
  const decoded: Record<string, string> = {
    '': '',
    a: 'a',
    'a/b': 'a/b',
    'a%2Fb': 'a/b',
    'a%252Fb': 'a%2Fb',
    'a%20b+c': 'a b+c',
    '%C3%A9': 'é',
    'a%2f..%2fb': 'a/../b',
  }
  for (const [raw, name] of Object.entries(decoded)) {
    t.match(open(`/v1/kv/${raw}`), { name }, raw)
  }
  t.strictSame(open('/v1/kv/%C3%A9'), { name: 'é', bytes: '\u00c3\u00a9' })
  t.strictSame(open('/v1/kv/%ff'), { name: '\ufffd', bytes: '\u00ff' }, 'not UTF-8')
})

t.test('bad escapes and what cannot be printed are refused', async t => {
  for (const raw of ['%', '%4', '%zz', '%01', '%00', 'a%7f', 'a%0ab']) {
    const refusal = open(`/v1/kv/${raw}`)
    t.ok(refusal instanceof Refusal, raw)
    t.match(refusal, { status: 400, text: '' })
  }
})

t.test('unclean paths', async t => {
  const cleaned: Record<string, string> = {
    '//': '/',
    '/a//b': '/a/b',
    '/a/./b': '/a/b',
    '/a/../b': '/b',
    '/../..': '/',
    '/a/b/..': '/a/',
    '/a/b/../': '/a/',
    '/a/.': '/a/',
    '/v1/kv/a//': '/v1/kv/a/',
  }
  for (const [path, clean] of Object.entries(cleaned)) {
    t.ok(isUnclean(path), path)
    t.equal(cleanPath(path), clean, path)
  }
  for (const path of ['/', '/a', '/a/', '/a/..b', '/a/b..', '/a/...', '/a/.b']) {
    t.notOk(isUnclean(path), path)
  }
})

t.test('a cleaned path is clean, and stays what it is', async () => {
  const segment = fc.constantFrom('', '.', '..', 'a', 'b.c', '..d')
  fc.assert(
    fc.property(fc.array(segment), segments => {
      const clean = cleanPath(`/${segments.join('/')}`)
      return !isUnclean(clean) && cleanPath(clean) === clean && clean.startsWith('/')
    }),
  )
})

t.test('whatever is escaped is read as it was', async () => {
  const bytes = fc.uint8Array({ min: 0x20 }).filter(all => !all.includes(0x7f))
  fc.assert(
    fc.property(bytes, all => {
      const raw = [...all].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')
      const part = open(`/v1/kv/${raw}`)
      return !(part instanceof Refusal) && Buffer.from(part.bytes, 'latin1').equals(all)
    }),
  )
})

t.test('a target is a path and what stands behind its first question mark', async t => {
  const cases: Record<string, readonly [path: string, query: string]> = {
    '/v1/kv/a': ['/v1/kv/a', ''],
    '/v1/kv/a?': ['/v1/kv/a', ''],
    '/v1/kv/a?raw&dc=x': ['/v1/kv/a', 'raw&dc=x'],
    '/v1/kv/a?b?c': ['/v1/kv/a', 'b?c'],
    '?a': ['', 'a'],
    '': ['', ''],
  }
  for (const [target, parts] of Object.entries(cases)) {
    t.strictSame([pathIn(target), queryIn(target)], parts, target)
  }
})
