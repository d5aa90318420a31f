import t from 'tap'
import { first64Bits, Networks, parseNetwork, plainAddress } from '../../src/base/networks.ts'

t.test('ranges', async t => {
  const has = (range: string, address: string): boolean | undefined =>
    parseNetwork(range)?.has(address)
  t.equal(has('10.0.0.0/8', '10.255.255.255'), true)
  t.equal(has('10.0.0.0/8', '11.0.0.0'), false)
  t.equal(has('10.1.2.3', '10.1.2.3'), true)
  t.equal(has('10.1.2.3', '10.1.2.4'), false)
  t.equal(has('0.0.0.0/0', '255.255.255.255'), true)
  t.equal(has('0.0.0.0/0', '::1'), false, 'families are apart')
  t.equal(has('::/0', '10.0.0.1'), false)
  t.equal(has('fd00::/8', 'fdff::1'), true)
  t.equal(has('fd00::/8', 'fe00::1'), false)
  t.equal(parseNetwork('10.0.0.0/8')?.prefixBits, 8)
  t.equal(parseNetwork('::1')?.prefixBits, 128)
})

t.test('many ranges', async t => {
  const all = new Networks(['::/0', '10.0.0.0/8', '::ffff:192.168.0.0/112'])
  t.equal(all.has('fd00::1'), true)
  t.equal(all.has('10.1.2.3'), true)
  t.equal(all.has('11.1.2.3'), false, 'an IPv4 address is in no range of IPv6')
  t.equal(all.has('192.168.7.7'), true, 'unless that is one of IPv4 addresses')
  t.equal(all.has('192.169.7.7'), false)
  t.equal(new Networks(['0.0.0.0/0']).has('::1'), false)
  t.equal(new Networks(['fd00::1']).has('fd00::1'), true)
  t.equal(new Networks([]).has('10.0.0.1'), false)
})

t.test('texts that are no range', async t => {
  const odd = ['', 'web', '10.0.0.0/33', '10.0.0/8', '::1/129', '10.0.0.0/', '10.0.0.0/8/8']
  for (const text of [...odd, '10.0.0.0/-1', '10.0.0.0/1e1', 'fe80::1%eth0']) {
    t.equal(parseNetwork(text), undefined, text)
  }
})

t.test('one spelling', async t => {
  t.equal(plainAddress('10.0.0.1'), '10.0.0.1')
  t.equal(plainAddress('::ffff:10.0.0.1'), '10.0.0.1')
  t.equal(plainAddress('0:0:0:0:0:FFFF:0a00:0001'), '10.0.0.1')
  t.equal(plainAddress('FD00:0:0::1'), 'fd00::1')
  t.equal(plainAddress('fe80::1%eth0'), 'fe80::1')
})

t.test('the first 64 bits of an address of IPv6', async t => {
  const cases = {
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2',
    '2001:db8::1': '2001:db8:0:0',
    '::1': '0:0:0:0',
    'fe80::': 'fe80:0:0:0',
    '1:2:3:4:5::': '1:2:3:4',
    '::': '0:0:0:0',
  }
  for (const [address, bits] of Object.entries(cases)) t.equal(first64Bits(address), bits, address)
})
