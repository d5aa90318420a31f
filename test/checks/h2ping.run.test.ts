import t from 'tap'
import { runH2ping } from '../../src/checks/h2ping.run.ts'
import { closedPort, httpTarget, knowing, once, tcpTarget } from './support.ts'
import { h2Target } from './targets.ts'

t.test('acknowledged, refused, not spoken', async t => {
  const h2ping = `127.0.0.1:${await h2Target(t, false)}`
  t.same(await once(runH2ping, { h2ping }), {
    status: 'passing',
    output: 'HTTP2 ping was successful',
  })
  const closed = `127.0.0.1:${await closedPort()}`
  t.same(await once(runH2ping, { h2ping: closed }), {
    status: 'critical',
    output: `Failed to dial to ${closed}: dial tcp ${closed}: connect: connection refused`,
  })
  const plain = await httpTarget(t, (_request, response) => response.end())
  t.match(await once(runH2ping, { h2ping: `127.0.0.1:${plain}` }), {
    status: 'critical',
    output: /^HTTP2 ping failed: \S/,
  })
  const { port } = await tcpTarget(t, socket => socket.end())
  t.match(await once(runH2ping, { h2ping: `127.0.0.1:${port}` }), {
    status: 'critical',
    output: /^HTTP2 ping failed: \S/,
  })
  t.match(await once(runH2ping, { h2ping: 'web' }), {
    output: 'Failed to dial to web: dial tcp: address web: missing port in address',
  })
})

t.test('TLS: whose certificate it is', async t => {
  const port = await h2Target(t, true)
  const h2ping = `127.0.0.1:${port}`
  const tls = { h2ping, h2pingUseTls: true }
  t.match(await once(runH2ping, tls), {
    status: 'critical',
    output: /^Failed to dial to .*x509: certificate signed by unknown authority$/,
  })
  t.match(await once(runH2ping, { ...tls, tlsSkipVerify: true }), { status: 'passing' })
  t.match(await once(runH2ping, { h2ping }), { status: 'critical' }, 'TLS is not spoken to')
  const resolver = knowing({ 'web.example': ['127.0.0.1'] })
  const named = { h2ping: `web.example:${port}`, h2pingUseTls: true, tlsSkipVerify: true }
  t.match(await once(runH2ping, named, { resolver }), { status: 'passing' })
})

t.test('no time left, before and after the connection', async t => {
  const resolver = { addressesOf: () => new Promise<string[]>(() => {}) }
  const options = {
    resolver,
    meanwhile: (run: { end(why: 'timeout'): void }) => run.end('timeout'),
  }
  t.match(await once(runH2ping, { h2ping: 'web.example:1' }, options), {
    output: 'Failed to dial to web.example:1: dial tcp web.example:1: i/o timeout',
  })
})
