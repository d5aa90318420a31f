/** DNS cookies: given to those who ask for one, believed only from whom they were given to. */
import t from 'tap'
import { type Random, systemRandom } from '../../src/base/clock.ts'
import { Cookies } from '../../src/dns/cookie.ts'
import { newQuestion, readQuestion } from '../../src/wire/dns/mod.ts'
import { FakeClock } from '../fake/clock.ts'
import { encoded, parsed, queryFor } from '../wire/dns/arbitraries.ts'
import { openExample } from './example.ts'
import { answerTo, configWith, respond } from './support.ts'

const CLIENT = '12345678'
const question = newQuestion()
const secretOf = (byte: number): Random => ({
  ...systemRandom,
  bytes: sizeBytes => Buffer.alloc(sizeBytes, byte),
})

const queryWith = (data: string): Buffer => {
  const options = [{ code: 10, data }]
  const edns = { udpSizeBytes: 1_232, version: 0, dnssecOk: false, options }
  return encoded(queryFor('web.service.consul', 'A', { edns }))
}

/** The cookie that goes back, and whether the one that came was good. */
function exchange(cookies: Cookies, data: string, address = '10.0.0.1') {
  const query = queryWith(data)
  readQuestion(query, question)
  const isGood = cookies.exchange(query, question, address)
  return { isGood, cookie: CLIENT + question.serverCookie.toString('latin1') }
}

t.test('a cookie is good for its address, its asker and an hour', async t => {
  const clock = new FakeClock()
  const cookies = new Cookies(clock, secretOf(1))
  const { isGood, cookie } = exchange(cookies, CLIENT)
  t.notOk(isGood, 'the first time there is nothing to show')
  t.ok(exchange(cookies, cookie).isGood)
  t.notOk(exchange(cookies, cookie, '10.0.0.2').isGood)
  t.notOk(exchange(cookies, `87654321${cookie.slice(8)}`).isGood)
  for (let at = 8; at < 24; at++) {
    // The reserved bytes are part of the hash as well.
    const changed =
      cookie.slice(0, at) + String.fromCharCode(cookie.charCodeAt(at) ^ 1) + cookie.slice(at + 1)
    t.notOk(exchange(cookies, changed).isGood, `byte ${at}`)
  }
  t.notOk(exchange(new Cookies(clock, secretOf(2)), cookie).isGood, 'of another server')
  await clock.advance(3_600_000)
  t.ok(exchange(cookies, cookie).isGood, 'at the bound')
  await clock.advance(1_000)
  t.notOk(exchange(cookies, cookie).isGood, 'one past it')
  t.notOk(exchange(cookies, `${CLIENT}${'x'.repeat(8)}`).isGood, 'another length')
})

t.test('answers carry one where that is on, and the asker sent his part', async t => {
  const registry = await openExample()
  t.teardown(() => registry.store.close())
  const out = Buffer.alloc(65_535)
  const ask = (cookies: boolean, query: Buffer) => {
    const responder = respond(registry, configWith({ cookies }))
    return parsed(out.subarray(0, answerTo(responder, query, out, 'udp')))
  }
  const answer = ask(true, queryWith(CLIENT))
  t.match(answer.edns?.options, [{ code: 10 }])
  t.equal(answer.edns?.options[0]?.data.length, 24)
  t.equal(answer.edns?.options[0]?.data.slice(0, 8), CLIENT)
  t.equal(answer.answers.length, 2)
  t.strictSame(ask(false, queryWith(CLIENT)).edns?.options, [])
  const plain = encoded(queryFor('web.service.consul', 'A'))
  t.equal(ask(true, plain).edns, undefined)
  t.equal(ask(true, queryWith('short')).rcode, 1, 'RFC 7873: other lengths are a FORMERR')
})
