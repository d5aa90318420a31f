/** How many answers a network gets: counted by network, for a second, over UDP, in one size. */
import t from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { Judgement, ResponseRate } from '../../src/dns/rate.ts'
import { NONE } from '../../src/dns/responder.ts'
import { FakeClock } from '../fake/clock.ts'
import { encoded, parsed, queryFor } from '../wire/dns/arbitraries.ts'
import { openExample } from './example.ts'
import { answerTo, configWith, queryOf, respond } from './support.ts'

t.test('so many a second; then every other time TC alone', async t => {
  const clock = new FakeClock()
  const rate = new ResponseRate(3, clock, systemRandom)
  const many = (count: number) => Array.from({ length: count }, () => rate.judge('10.0.0.1'))
  const { send, slip, drop } = Judgement
  t.strictSame(many(7), [send, send, send, drop, slip, drop, slip])
  await clock.advance(1_000)
  t.strictSame(many(4), [send, send, send, drop])
})

t.test('who shares a network shares its answers; others do not', async t => {
  const table: [string, string, boolean][] = [
    ['10.0.0.1', '10.0.0.254', true],
    ['10.0.0.1', '10.0.1.1', false],
    ['10.0.0.1', '::ffff:10.0.0.2', true],
    ['2001:db8:1:2:3::1', '2001:db8:1:2:ffff::9', true],
    ['2001:db8:1:2:3::1', '2001:db8:1:3:3::1', false],
    ['2001:db8::1', '2001:db8::2', true],
    ['fe80::1%eth0', 'fe80::2%eth1', true],
    ['::1', '2001:db8::1', false],
  ]
  for (const [first, second, isShared] of table) {
    const rate = new ResponseRate(1, new FakeClock(), systemRandom)
    t.equal(rate.judge(first), Judgement.send)
    t.equal(rate.judge(second) !== Judgement.send, isShared, `${first} and ${second}`)
  }
})

t.test('the responder holds back over UDP, from those without a cookie of ours', async t => {
  const registry = await openExample()
  t.teardown(() => registry.store.close())
  const responder = respond(registry, configWith({ responseRate: 1, cookies: true }))
  const out = Buffer.alloc(65_535)
  const query = queryOf('web.service.consul A')
  t.ok(answerTo(responder, query, out, 'udp') > 0)
  t.equal(answerTo(responder, query, out, 'udp'), NONE)
  const size = answerTo(responder, query, out, 'udp')
  t.match(parsed(out.subarray(0, size)), { truncated: true, rcode: 0, answers: [] })
  t.equal(responder.stats.limited, 2)
  t.equal(parsed(out.subarray(0, answerTo(responder, query, out, 'tcp'))).answers.length, 2)
  t.ok(answerTo(responder, query, out, 'udp', '192.0.2.1') > 0, 'another network')

  const edns = (data: string) => {
    const options = [{ code: 10, data }]
    return { edns: { udpSizeBytes: 1_232, version: 0, dnssecOk: false, options } }
  }
  const ask = (data: string) => {
    const asked = encoded(queryFor('web.service.consul', 'A', edns(data)))
    return parsed(out.subarray(0, answerTo(responder, asked, out, 'udp', '198.51.100.1')))
  }
  const cookie = ask('12345678').edns?.options[0]?.data ?? ''
  for (let i = 0; i < 5; i++) t.equal(ask(cookie).answers.length, 2, 'known by its cookie')
})
