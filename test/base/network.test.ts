/** Networks and the addresses in them. */
import t from 'tap'
import { Networks, parseNetwork } from '../../src/base/network.ts'

t.test('what names a network, and what does not', async t => {
  for (const text of ['10.0.0.0/8', '0.0.0.0/0', '127.0.0.1/32', 'fd00::/8', '::/0', '::1/128']) {
    t.ok(parseNetwork(text), text)
  }
  const wrong = ['10.0.0.0', '10.0.0.0/33', '::1/129', 'x/8', '10.0.0/8', '10.0.0.0/-1', '', '/8']
  for (const text of wrong) t.equal(parseNetwork(text), undefined, text)
})

t.test('which addresses they hold', async t => {
  const networks = new Networks(['10.0.0.0/8', '192.168.1.7/32', 'fd00::/8', 'nonsense'])
  for (const address of ['10.255.0.1', '192.168.1.7', 'fd00::1', '::ffff:10.0.0.1']) {
    t.ok(networks.hold(address), address)
  }
  for (const address of ['11.0.0.1', '192.168.1.8', 'fe80::1', '::ffff:11.0.0.1', '::1', 'x', '']) {
    t.notOk(networks.hold(address), address)
  }
})
