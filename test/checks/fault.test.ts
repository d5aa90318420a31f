import t from 'tap'
import { faultText, hostPort } from '../../src/checks/fault.ts'

const system = (fields: object): Error => Object.assign(new Error('connect failed'), fields)

t.test('faults of sockets, in the words of Go', async t => {
  const refused = { code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port: 9 }
  const six = { ...refused, address: '::1', code: 'EHOSTUNREACH' }
  const rows: [unknown, string][] = [
    [system(refused), 'dial tcp 127.0.0.1:9: connect: connection refused'],
    [system(six), 'dial tcp [::1]:9: connect: no route to host'],
    [
      new AggregateError([system(refused), system(six)]),
      'dial tcp 127.0.0.1:9: connect: connection refused',
    ],
    [system({ code: 'ECONNRESET', syscall: 'read' }), 'read: connection reset by peer'],
    [Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }), 'EOF'],
    [system({ code: 'EPROTO' }), 'tls: first record does not look like a TLS handshake'],
    [system({ code: 'HPE_INVALID_CONSTANT' }), 'malformed HTTP response'],
    [
      system({ code: 'CERT_HAS_EXPIRED' }),
      'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
    ],
    [system({ code: 'EWHATEVER' }), 'connect failed'],
    [new AggregateError([], 'nothing was tried'), 'nothing was tried'],
  ]
  for (const [error, text] of rows) t.equal(faultText(error), text)
})

t.test('host and port', async t => {
  t.equal(hostPort('127.0.0.1', 80), '127.0.0.1:80')
  t.equal(hostPort('::1', 80), '[::1]:80')
})
