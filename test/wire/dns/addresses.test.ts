/** Addresses: text, bytes, hex digits, reverse names. */
import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import {
  addressFromHex,
  addressFromReverse,
  addressFromText,
  addressToHex,
  addressToText,
} from '../../../src/wire/dns/addresses.ts'
import { propertyRuns } from '../../run/budget.ts'
import { bytes } from './arbitraries.ts'

t.test('IPv4', async t => {
  t.equal(addressFromText('127.0.0.1'), '\x7f\0\0\x01')
  for (const bad of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.', ' 1.2.3.4']) {
    t.equal(addressFromText(bad), undefined, JSON.stringify(bad))
  }
})

t.test('IPv6: the texts of RFC 4291 2.2 and the canonical ones of RFC 5952', async t => {
  const texts: [string, string][] = [
    ['2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
    ['FF01:0:0:0:0:0:0:101', 'ff01::101'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::', '::'],
    ['::13.1.68.3', '::d01:4403'],
    ['::FFFF:129.144.52.38', '::ffff:129.144.52.38'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1::', '1::'],
  ]
  for (const [text, canonical] of texts) t.equal(addressToText(addressFromText(text)!), canonical)
  const bad = [':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::', 'g::']
  bad.push('fe80::1%lo', '1.2.3.4::', '::1.2.3', '1:2:3:4:5:6:7:1.2.3.4', `::${'0'.repeat(99)}`)
  bad.push('1:2:3:4:5:6:7:8::', ':1::2')
  for (const text of bad) t.equal(addressFromText(text), undefined, text)
})

t.test('any address survives text and hex', async () => {
  const address = fc.oneof(
    bytes(4, 4),
    bytes(16, 16),
    bytes(2, 2).map(x => `\0`.repeat(14) + x),
  )
  fc.assert(fc.property(address, bytes => addressFromText(addressToText(bytes)) === bytes))
  fc.assert(fc.property(address, bytes => addressFromHex(addressToHex(bytes)) === bytes))
})

t.test('any text is an address where the platform says so', async () => {
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdefF:.:.'), maxLength: 20 }),
  )
  fc.assert(
    fc.property(text, text => {
      return (addressFromText(text) !== undefined) === (isIPv4(text) || isIPv6(text))
    }),
    { numRuns: 20 * propertyRuns() },
  )
})

t.test('hex names', async t => {
  t.equal(addressToHex('\x7f\0\0\x01'), '7f000001')
  t.equal(addressFromHex('7F000001'), '\x7f\0\0\x01')
  t.equal(addressFromHex('00000000000000000000000000000001'), `${'\0'.repeat(15)}\x01`)
  for (const bad of ['', '7f0000', '7f00000g', '7f0000010', '7f000001 ']) {
    t.equal(addressFromHex(bad), undefined, bad)
  }
})

t.test('RFC 1035 3.5: "10.2.0.52 is found at 52.0.2.10.IN-ADDR.ARPA"', async t => {
  t.equal(addressFromReverse(['52', '0', '2', '10', 'IN-ADDR', 'ARPA']), '\x0a\x02\0\x34')
  t.equal(addressFromReverse(['0', '2', '10', 'in-addr', 'arpa']), undefined, 'a network')
  t.equal(addressFromReverse(['x', '0', '2', '10', 'in-addr', 'arpa']), undefined)
  t.equal(addressFromReverse(['in-addr', 'arpa']), undefined)
  t.equal(addressFromReverse(['52', '0', '2', '10']), undefined)
  t.equal(addressFromReverse([]), undefined)
})

t.test('RFC 3596 2.5: nibbles in reverse order under IP6.ARPA', async t => {
  const nibbles = 'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4'.split('.')
  const address = addressFromText('4321:0:1:2:3:4:567:89ab')
  t.equal(addressFromReverse([...nibbles, 'IP6', 'ARPA']), address)
  t.equal(addressFromReverse([...nibbles.slice(1), 'ip6', 'arpa']), undefined)
  t.equal(addressFromReverse(['1b', ...nibbles.slice(2), '', 'ip6', 'arpa']), undefined)
  t.equal(addressFromReverse(['1b', ...nibbles.slice(1), 'ip6', 'arpa']), undefined)
})
