/** What BIND's dig makes of our answers, over UDP and TCP. */
import t from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { startDaemon } from './daemon.ts'
import { outputOf } from './process.ts'

t.test('dig', { skip: absent('dig') }, async t => {
  const daemon = await startDaemon(t, { words: ['-node=here'] })
  const dig = (...words: string[]) =>
    outputOf(t, clientFile('dig'), ['@127.0.0.1', '-p', `${daemon.dnsPort}`, ...words])
  for (let i = 0; i < 5; i += 1) {
    const Service = { ID: `db${i}`, Service: 'db', Port: 5432, Tags: [i < 2 ? 'primary' : 'x'] }
    const registered = await daemon.ask('PUT', '/v1/catalog/register', {
      Node: `n${i}`,
      Address: `10.0.0.${i}`,
      Service,
    })
    t.equal(registered.text, 'true')
  }
  for (const transport of ['+notcp', '+tcp']) {
    t.test(transport, async t => {
      const own = await dig(transport, 'consul.service.consul')
      t.match(own, /status: NOERROR/)
      t.match(own, /flags: qr aa rd; QUERY: 1, ANSWER: 1/)
      t.match(own, /^consul\.service\.consul\.\s+0\s+IN\s+A\s+127\.0\.0\.1$/m)
      const named = await dig(transport, '+short', 'HERE.node.Consul')
      t.equal(named, '127.0.0.1\n')
      const srv = await dig(transport, '_db._primary.service.consul', 'SRV')
      t.match(srv, /ANSWER: 2, AUTHORITY: 0/)
      t.match(srv, /^_db\._primary\.service\.consul\.\s+0\s+IN\s+SRV\s+1 1 5432 n1\.node\.dc1\./m)
      t.match(srv, /^n1\.node\.dc1\.consul\.\s+0\s+IN\s+A\s+10\.0\.0\.1$/m, 'with its address')
      const missing = await dig(transport, 'nobody.service.consul')
      t.match(missing, /status: NXDOMAIN/)
      t.match(missing, /^consul\.\s+0\s+IN\s+SOA\s+ns\.consul\. hostmaster\.consul\./m)
      const other = await dig(transport, 'db.service.consul', 'MX')
      t.match(other, /status: NOERROR/)
      t.match(other, /ANSWER: 0, AUTHORITY: 1/)
    })
  }
  t.test('an SRV target is the node, or an address of the instance itself', async t => {
    const Service = { Service: 'own', Port: 1, Address: '10.9.8.7' }
    await daemon.ask('PUT', '/v1/catalog/register', { Node: 'n1', Address: '10.0.0.1', Service })
    t.match(await dig('+short', 'db.service.consul', 'SRV'), /^1 1 5432 n0\.node\.dc1\.consul\.$/m)
    t.equal(await dig('+short', 'own.service.consul', 'SRV'), '1 1 1 0a090807.addr.dc1.consul.\n')
    t.equal(await dig('+short', '0a090807.addr.dc1.consul'), '10.9.8.7\n')
  })
  t.test('how many addresses fit', async t => {
    const counted = async (...words: string[]) =>
      (await dig('+short', ...words, 'db.service.consul')).split('\n').length - 1
    t.equal(await counted('+notcp', '+noedns'), 3, 'three without EDNS')
    t.equal(await counted('+notcp', '+bufsize=1232'), 5, 'all with EDNS')
    t.equal(await counted('+tcp', '+noedns'), 5, 'all over TCP')
  })
})
