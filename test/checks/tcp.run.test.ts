import { type AddressInfo, createServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t from 'tap'
import { runTcp } from '../../src/checks/tcp.run.ts'
import { testCertificate, testKey } from './certificate.ts'
import { closedPort, knowing, once, tcpTarget, toolsWith, until } from './support.ts'

t.test('a connection is enough, and is closed again', async t => {
  const { port, sockets } = await tcpTarget(t)
  t.same(await once(runTcp, { tcp: `127.0.0.1:${port}` }), {
    status: 'passing',
    output: `TCP connect 127.0.0.1:${port}: Success`,
  })
  await until(() => sockets.size === 0, 'closed')
})

t.test('nobody there', async t => {
  const port = await closedPort()
  t.same(await once(runTcp, { tcp: `127.0.0.1:${port}` }), {
    status: 'critical',
    output: `dial tcp 127.0.0.1:${port}: connect: connection refused`,
  })
  t.same(await once(runTcp, { tcp: 'nowhere.example:80' }), {
    status: 'critical',
    output: 'dial tcp: lookup nowhere.example: no such host',
  })
})

t.test('targets without a port, or with none that there is', async t => {
  for (const tcp of ['127.0.0.1', 'web', 'web:http', 'web:70000', '::1:80']) {
    t.same(await once(runTcp, { tcp }), {
      status: 'critical',
      output: `dial tcp: address ${tcp}: missing port in address`,
    })
  }
})

t.test('names, and IPv6', async t => {
  const { port } = await tcpTarget(t)
  const resolver = knowing({ 'web.example': ['127.0.0.3', '127.0.0.1'] })
  const named = await once(runTcp, { tcp: `web.example:${port}` }, { resolver })
  t.match(named, { status: 'passing', output: `TCP connect web.example:${port}: Success` })
  const server = createServer().listen(0, '::1')
  t.teardown(() => server.close())
  await until(() => server.listening, 'listening')
  const six = (server.address() as AddressInfo).port
  t.match(await once(runTcp, { tcp: `[::1]:${six}` }), { status: 'passing' })
})

t.test('ended by the runner, before and after the name is known', async t => {
  const resolver = { addressesOf: () => new Promise<string[]>(() => {}) }
  const result = await once(
    runTcp,
    { tcp: 'web.example:80' },
    {
      resolver,
      meanwhile: run => run.end('timeout'),
    },
  )
  t.same(result, { status: 'critical', output: 'dial tcp web.example:80: i/o timeout' })
  let reports = 0
  const { port } = await tcpTarget(t)
  const request = { definition: { tcp: `127.0.0.1:${port}` }, timeoutMs: 1, outputMaxSizeBytes: 1 }
  const run = runTcp(request, toolsWith({ resolver }), () => reports++)
  run.end('stopped')
  run.end('timeout')
  await new Promise(resolve => setTimeout(resolve, 20))
  t.equal(reports, 0)
})

t.test('TLS: the handshake must succeed', async t => {
  const server = createTlsServer({ key: testKey, cert: testCertificate })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const tcp = `127.0.0.1:${(server.address() as AddressInfo).port}`
  t.match(await once(runTcp, { tcp, tcpUseTls: true }), {
    status: 'critical',
    output: 'tls: failed to verify certificate: x509: certificate signed by unknown authority',
  })
  t.match(await once(runTcp, { tcp, tcpUseTls: true, tlsSkipVerify: true }), {
    status: 'passing',
    output: `TCP connect ${tcp}: Success`,
  })
})
