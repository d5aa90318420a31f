import fc from 'fast-check'
import t from 'tap'
import {
  firstRequest,
  type HttpRequest,
  httpFault,
  httpResult,
  redirected,
} from '../../src/checks/http-exchange.ts'

function request(http: string): HttpRequest {
  const first = firstRequest({ http })
  if ('status' in first) throw new Error(first.output)
  return first
}

t.test('which redirects are followed', async t => {
  const from = { ...request('https://web.example:8443/a/b'), method: 'PUT', body: 'x' }
  const to = (statusCode: number, location: string | undefined, hops = 0) => {
    const next = redirected({}, from, { statusCode, location }, hops)
    if (next === undefined) return 'last'
    return 'status' in next ? next.output : `${next.method} ${next.url.href} ${next.body}`
  }
  t.equal(to(302, 'c'), 'GET https://web.example:8443/a/c ')
  t.equal(to(303, '/c?d#e'), 'GET https://web.example:8443/c?d#e ')
  t.equal(to(308, 'http://WEB.example/'), 'PUT http://web.example/ x')
  t.equal(to(302, undefined), 'last')
  t.equal(to(304, '/c'), 'last')
  t.equal(to(200, '/c'), 'last')
  t.match(to(302, '//other.example/c'), /^Get "https:.*\(other.example\) refused$/)
  t.match(to(302, 'https://web.example.evil/'), /refused$/)
  t.match(to(302, 'javascript:alert(1)'), /no HTTP address$/)
  t.match(to(302, 'http://['), /no HTTP address$/)
  t.match(to(302, '/c', 10), /stopped after 10 redirects$/)
  const head = redirected({}, { ...from, method: 'HEAD' }, { statusCode: 302, location: '/' }, 0)
  t.match(head, { method: 'HEAD' })
})

t.test('no location leads to another host, whatever it says', async t => {
  const from = request('http://web.example/a')
  const hosts = fc.constantFrom('web.example', 'evil.example', '127.0.0.1', 'web.example@evil')
  const location = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc
      .tuple(fc.constantFrom('//', 'http://', '/\\', 'http:/', '\\\\', ' //'), hosts, fc.string())
      .map(parts => parts.join('')),
  )
  const follows = (given: string): boolean => {
    const next = redirected({}, from, { statusCode: 302, location: given }, 0)
    return next === undefined || 'status' in next || next.url.hostname === 'web.example'
  }
  t.doesNotThrow(() => fc.assert(fc.property(location, follows)))
})

t.test('no text shows a password', async t => {
  const word = fc.stringMatching(/^[a-zA-Z0-9%@:!$&]{6,20}$/)
  const hidden = (password: string): boolean => {
    const http = `http://me:${password}@web.example/path`
    const first = firstRequest({ http })
    const texts = [
      'status' in first ? first.output : '',
      httpFault({ http }, http, 'EOF').output,
      httpResult({ http }, { statusCode: 200, reason: 'OK', body: '' }).output,
    ]
    return texts.every(text => !text.includes(password))
  }
  t.doesNotThrow(() => fc.assert(fc.property(word, hidden)))
  const broken = firstRequest({ http: 'http://me:pass/word@web.example/' })
  t.match(broken, { output: 'Get "http://***@web.example/": unsupported protocol scheme ""' })
})

t.test('a URL of any form is a request or a result', async t => {
  const total = (http: string): boolean => {
    const first = firstRequest({ http })
    return 'status' in first ? first.status === 'critical' : first.method === 'GET'
  }
  t.doesNotThrow(() => fc.assert(fc.property(fc.oneof(fc.string(), fc.webUrl()), total)))
})
