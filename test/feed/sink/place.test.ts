/** Addresses that somebody registered: what is one, and in which form. */
import fc from 'fast-check'
import t from 'tap'
import { hostOf, ipOf, parsePlace, shown } from '../../../src/feed/sink/place.ts'

t.test('an address has one form', async t => {
  const forms: [string, string | undefined][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0:0::1', '2001:db8::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::FFFF:10.0.0.1', '::ffff:10.0.0.1'],
    ['::ffff:a00:1', '::ffff:10.0.0.1'],
    ['fe80::1%eth0', undefined],
    ['010.0.0.1', undefined],
    ['10.1', undefined],
    ['10.0.0.1 ', undefined],
    ['', undefined],
  ]
  for (const [given, form] of forms) t.equal(ipOf(given), form, given)
  fc.assert(fc.property(fc.ipV6(), address => ipOf(ipOf(address) ?? '') === ipOf(address)))
})

t.test('a host is an address or a name of plain letters', async t => {
  for (const host of ['web', 'web.example', 'a_b.c-d', '10.0.0.1', '::1']) t.ok(hostOf(host), host)
  for (const none of [
    '',
    '-x',
    'a..b',
    'a b',
    '/run/x',
    'unix@x',
    '1',
    '0x7f.1',
    'a.1',
    'x.',
    '[::1]',
  ]) {
    t.equal(hostOf(none), undefined, none)
  }
})

t.test('a place', async t => {
  t.same(parsePlace('[::1]:80'), { host: '::1', port: 80 })
  t.same(parsePlace('web:65535'), { host: 'web', port: 65_535 })
  for (const none of ['web', 'web:0', 'web:65536', '::1:80', 'a b:1', 'unix@x:1']) {
    t.equal(parsePlace(none), undefined, none)
  }
})

t.test('what somebody chose is shown in one line, and not for ever', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), value => {
      const text = shown(value)
      t.ok(value.length <= 200)
      return !/[\p{Cc}\u2028-\u202e]/u.test(text) && text.length < 600
    }),
  )
})
