/** What is remembered of a router's findings. */
import t from 'tap'
import { type Route, Routes } from '../../../src/base/io/routes.ts'
import { limits } from '../../../src/base/limits.ts'

const make = (...patterns: string[]) => {
  const routes = new Routes<string>()
  const all = patterns.map(
    (pattern): Route<string> => ({ method: 'GET', pattern, target: pattern }),
  )
  for (const route of all) routes.declare(route)
  const find = (pattern: string, url: string): void =>
    routes.found(all.find(route => route.pattern === pattern)!, url)
  return { routes, find }
}

t.test('a path is known once it was found, whatever its query says', async t => {
  const { routes, find } = make('/a', '/a/b')
  t.equal(routes.known('GET', '/a'), undefined)
  find('/a', '/a?x=/a/b')
  t.equal(routes.known('GET', '/a'), '/a')
  t.equal(routes.known('GET', '/a?y'), '/a')
  t.equal(routes.known('PUT', '/a'), undefined, 'of its method alone')
  t.equal(routes.known('GET', '/a/b'), undefined)
  t.equal(routes.known('GET', '/a/'), undefined)
})

t.test('an open end that nobody shares is known by what stands before it', async t => {
  const { routes, find } = make('/kv/*', '/k', '/kv')
  t.equal(routes.known('GET', '/kv/a'), undefined)
  find('/kv/*', '/kv/a')
  for (const path of ['/kv/a', '/kv/', '/kv/b/c%2F?d']) t.equal(routes.known('GET', path), '/kv/*')
  for (const path of ['/kv', '/k', '/']) t.equal(routes.known('GET', path), undefined)
})

t.test('an open end beside other routes is known path by path', async t => {
  const { routes, find } = make('/token/*', '/token/self', '/:kind/*')
  find('/token/*', '/token/a')
  find('/:kind/*', '/x/y')
  t.equal(routes.known('GET', '/token/a'), '/token/*')
  t.equal(routes.known('GET', '/x/y'), '/:kind/*')
  for (const path of ['/token/self', '/token/b', '/x/z', '/:kind/'])
    t.equal(routes.known('GET', path), undefined)
})

t.test('what is remembered has a bound', async t => {
  const { routes, find } = make('/:a')
  const long = `/${'x'.repeat(limits.routedPathChars)}`
  find('/:a', long)
  t.equal(routes.known('GET', long), undefined)
  for (let n = 0; n <= limits.routedPaths; n++) find('/:a', `/${n}`)
  t.equal(routes.known('GET', '/0'), undefined, 'a full memory begins anew')
  t.equal(routes.known('GET', `/${limits.routedPaths}`), '/:a')
})
