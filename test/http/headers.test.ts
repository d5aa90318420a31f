/** Request headers: where a token is found, and what is refused because of them. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import t from 'tap'
import {
  acceptsGzip,
  refuseCacheControl,
  refuseHeaders,
  sourceIpOf,
  tokenOf,
} from '../../src/http/headers.ts'

t.test('a token: query, header, bearer, in this order', async t => {
  const header = { 'x-consul-token': 'h' }
  const bearer = { authorization: 'Bearer b' }
  t.equal(tokenOf({ ...header, ...bearer }, 'a=1&token=q'), 'q')
  t.equal(tokenOf({ ...header, ...bearer }, 'token='), 'h', 'an empty one is none')
  t.equal(tokenOf(bearer, ''), 'b')
  t.equal(tokenOf({ authorization: 'bEARER   b' }, ''), 'b', 'the scheme has no case')
  t.equal(tokenOf({ authorization: 'Basic b' }, ''), '')
  t.equal(tokenOf({}, ''), '')
})

t.test('enterprise headers', async t => {
  t.match(refuseHeaders({ 'x-consul-namespace': 'a' }), {
    status: 400,
    text: 'Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature',
  })
  t.match(refuseHeaders({ 'x-consul-partition': 'a' }), {
    status: 400,
    text: 'Invalid header: "X-Consul-Partition" - Partitions are a Consul Enterprise feature',
  })
  for (const fine of ['', 'default']) {
    t.equal(refuseHeaders({ 'x-consul-namespace': fine, 'x-consul-partition': fine }), undefined)
  }
})

t.test('Cache-Control is held to its form', async t => {
  for (const fine of ['no-cache', 'must-revalidate', 'max-age=0', 'Max-Age=5, stale-if-error=60']) {
    t.equal(refuseCacheControl({ 'cache-control': fine }), undefined, fine)
  }
  for (const bad of ['max-age=x', 'max-age', 'must-revalidate, stale-if-error=1s']) {
    t.match(refuseCacheControl({ 'cache-control': bad }), { status: 400 }, bad)
  }
  t.equal(refuseCacheControl({}), undefined)
})

t.test('gzip is asked for by name', async t => {
  for (const yes of ['gzip', 'gzip;q=1', 'gzip; q=0.1', 'br, gzip', 'gzip,deflate']) {
    t.ok(acceptsGzip({ 'accept-encoding': yes }), yes)
  }
  for (const no of ['', 'br', 'gzip;q=0', 'gzip; q=0.000', 'xgzip', 'gzipx']) {
    t.notOk(acceptsGzip({ 'accept-encoding': no }), no)
  }
  t.notOk(acceptsGzip({}))
})

t.test('the client is who the first proxy saw, else the other end', async t => {
  const from = (headers: IncomingHttpHeaders, remoteAddress?: string) =>
    sourceIpOf({ headers, socket: { remoteAddress } } as IncomingMessage)
  t.equal(from({}, '10.0.0.1'), '10.0.0.1')
  t.equal(from({}, '::ffff:10.0.0.1'), '10.0.0.1')
  t.equal(from({}, '::1'), '::1')
  t.equal(from({ 'x-forwarded-for': ' 10.9.9.9 , 10.0.0.2' }, '10.0.0.1'), '10.9.9.9')
  t.equal(from({ 'x-forwarded-for': '' }, '10.0.0.1'), '10.0.0.1')
  t.equal(from({}), '', 'a unix socket has no address')
})
