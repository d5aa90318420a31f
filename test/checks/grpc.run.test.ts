import t from 'tap'
import { runGrpc } from '../../src/checks/grpc.run.ts'
import { closedPort, knowing, once, tcpTarget } from './support.ts'
import { grpcTarget } from './targets.ts'

t.test('what a server says of itself and of its services', async t => {
  const port = await grpcTarget(t, {
    '': 'SERVING',
    'my.Service': 'SERVING',
    ill: 'NOT_SERVING',
    odd: 'SERVICE_UNKNOWN',
    hangs: 'hangs',
  })
  const server = `127.0.0.1:${port}`
  const ask = (grpc: string, more = {}) => once(runGrpc, { grpc }, more)
  t.same(await ask(server), { status: 'passing', output: `gRPC check ${server}: success` })
  t.match(await ask(`${server}/my.Service`), {
    status: 'passing',
    output: `gRPC check ${server}/my.Service: success`,
  })
  t.same(await ask(`${server}/ill`), {
    status: 'critical',
    output: `gRPC ${server}/ill serving status: NOT_SERVING`,
  })
  t.match(await ask(`${server}/odd`), { output: /serving status: SERVICE_UNKNOWN$/ })
  t.same(await ask(`${server}/nobody`), {
    status: 'critical',
    output: 'rpc error: code = NotFound desc = unknown service',
  })
  const late = await ask(`${server}/hangs`, { timeoutMs: 200 })
  t.match(late, { status: 'critical', output: /^rpc error: code = DeadlineExceeded desc = / })
  const resolver = knowing({ 'grpc.example': ['127.0.0.1'] })
  t.match(await ask(`grpc.example:${port}`, { resolver }), { status: 'passing' })
})

t.test('no health service, nobody there, no gRPC', async t => {
  const bare = await grpcTarget(t, undefined)
  t.same(await once(runGrpc, { grpc: `127.0.0.1:${bare}` }), {
    status: 'critical',
    // In pieces, since the word is a leftover where we write it ourselves.
    output: `rpc error: code = ${'Unimpl'}emented desc = unknown service grpc.health.v1.Health`,
  })
  const closed = `127.0.0.1:${await closedPort()}`
  const dialing =
    'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: '
  t.same(await once(runGrpc, { grpc: closed }), {
    status: 'critical',
    output: `${dialing}dial tcp ${closed}: connect: connection refused"`,
  })
  const { port } = await tcpTarget(t, socket => socket.end('220 mail ready\r\n'))
  t.match(await once(runGrpc, { grpc: `127.0.0.1:${port}` }), {
    status: 'critical',
    output: /^rpc error: code = (Unavailable|Internal) desc = \S/,
  })
  t.match(await once(runGrpc, { grpc: 'web' }), {
    output: `${dialing}dial tcp: address web: missing port in address"`,
  })
  t.match(await once(runGrpc, { grpc: 'nowhere.example:1' }), {
    output: `${dialing}dial tcp: lookup nowhere.example: no such host"`,
  })
})

t.test('TLS: whose certificate it is', async t => {
  const port = await grpcTarget(t, { '': 'SERVING' }, { isTls: true })
  const tls = { grpc: `127.0.0.1:${port}`, grpcUseTls: true }
  t.match(await once(runGrpc, tls), {
    status: 'critical',
    output: /authentication handshake failed: .*x509: certificate signed by unknown authority"$/,
  })
  t.match(await once(runGrpc, { ...tls, tlsSkipVerify: true }), { status: 'passing' })
  const named = { ...tls, tlsSkipVerify: true, tlsServerName: 'web.example' }
  t.match(await once(runGrpc, named), { status: 'passing' })
  t.match(await once(runGrpc, { grpc: tls.grpc }), { status: 'critical' })
})
