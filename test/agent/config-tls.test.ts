/**
 * The keys of TLS: stanzas and flat keys, what inherits from what, and what is refused.
 */
import fc from 'fast-check'
import t from 'tap'
import type { Config } from '../../src/agent/config.ts'
import { type ConfigResult, resolveConfig } from '../../src/agent/config.ts'
import { Settings } from '../../src/agent/config-read.ts'
import { isTlsStated, tlsFilesOf } from '../../src/agent/config-tls.ts'
import { propertyRuns } from '../run/budget.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }

const hcl = (...texts: string[]): ConfigResult =>
  resolveConfig(
    {
      texts: texts.map((text, at) => ({ name: `${at}.hcl`, text, format: 'hcl' as const })),
      flags: [],
      isDev: false,
    },
    surroundings,
  )

function configOf(result: ConfigResult): Config {
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return result.config
}

const problemsOf = (result: ConfigResult): string =>
  'problems' in result ? result.problems.join('\n') : 'accepted'

const warningsOf = (result: ConfigResult): string =>
  'warnings' in result ? result.warnings.join('\n') : ''

const PAIR = 'cert_file = "c.pem" key_file = "k.pem"'

t.test('nothing is on by default', async t => {
  const { ports, addresses, tls, http } = configOf(hcl(''))
  t.equal(ports.https, -1)
  t.same(addresses.https, [])
  t.equal(http.handshakeTimeoutMs, 5_000)
  t.same(tlsFilesOf(tls), [])
  t.match(tls.https, { minVersion: 'TLSv1.2', ciphers: [], verifyIncoming: false })
})

t.test('a listener has the defaults but for what its own stanza says', async t => {
  const { tls, addresses } = configOf(
    hcl(`ports { https = 8501 } addresses { https = "127.0.0.1 unix://s.sock" }
      tls {
        defaults { ca_file = "ca.pem" ${PAIR} verify_incoming = true tls_min_version = "TLSv1_3" }
        https { cert_file = "/own.pem" verify_incoming = false }
        grpc { ca_path = "more" }
      }`),
  )
  t.same(addresses.https, ['127.0.0.1', 'unix:///w/s.sock'])
  t.match(tls.https, {
    caFile: '/w/ca.pem',
    certFile: '/own.pem',
    keyFile: '/w/k.pem',
    minVersion: 'TLSv1.3',
    verifyIncoming: false,
  })
  t.match(tls.grpc, { caFile: '/w/ca.pem', caPath: '/w/more', verifyIncoming: true })
  t.match(tls.internalRpc, { certFile: '/w/c.pem', verifyIncoming: true, verifyOutgoing: false })
  t.same(tlsFilesOf(tls), ['/w/ca.pem', '/own.pem', '/w/k.pem', '/w/c.pem', '/w/more'])
})

t.test('a socket in a file needs no port', async t => {
  const stated = `addresses { https = "unix:///s" } tls { https { ${PAIR} } }`
  t.same(configOf(hcl(stated)).addresses.https, ['unix:///s'])
  t.match(problemsOf(hcl('addresses { https = "unix:///s" }')), 'needs a certificate and its key')
  const shared = `client_addr = "127.0.0.1 unix:///s" addresses { dns = "::1" } ports { https = 1 }`
  t.same(configOf(hcl(shared, PAIR)).addresses.https, ['127.0.0.1'], 'that of all clients is HTTP')
})

t.test('a port alone, as Consul’s helpers for tests name one, stays closed', async t => {
  const result = hcl('ports { https = 8501 }')
  const { ports, addresses } = configOf(result)
  t.equal(ports.https, -1)
  t.same(addresses.https, [])
  t.match(warningsOf(result), 'ports.https: taken; nothing listens on it: HTTPS needs tls')
  t.equal(configOf(hcl('ports { https = 8501 }', PAIR)).ports.https, 8501)
})

t.test('flat keys stand for the stanzas, which win', async t => {
  const flat =
    'ca_file = "f.pem" cert_file = "fc.pem" key_file = "fk.pem" tls_min_version = "tls13"'
  const { tls } = configOf(hcl(`${flat} tls { defaults { ca_file = "d.pem" } }`))
  for (const part of [tls.https, tls.grpc, tls.internalRpc]) {
    t.match(part, { caFile: '/w/d.pem', certFile: '/w/fc.pem', minVersion: 'TLSv1.3' })
  }
  const rpc = configOf(hcl('ca_file = "f.pem" verify_server_hostname = true')).tls.internalRpc
  t.match(rpc, { verifyServerHostname: true, verifyOutgoing: true }, 'a host name implies TLS')
})

/** What each of the four places says; undefined is nothing. */
const said = fc.option(fc.boolean(), { nil: undefined })

t.test('property: verify_incoming of HTTPS by every combination of its four keys', async () => {
  const key = (name: string, value: boolean | undefined): string =>
    value === undefined ? '' : `${name} = ${value}`
  fc.assert(
    fc.property(said, said, said, said, (stanza, defaults, flat, flatHttps) => {
      const { tls } = configOf(
        hcl(`${PAIR} ca_file = "ca.pem" ${key('verify_incoming', flat)}
          ${key('verify_incoming_https', flatHttps)}
          tls { defaults { ${key('verify_incoming', defaults)} }
                https { ${key('verify_incoming', stanza)} } }`),
      )
      const expected =
        stanza !== undefined
          ? stanza
          : flatHttps === true
            ? true
            : defaults !== undefined
              ? defaults
              : flat === true
      return tls.https.verifyIncoming === expected
    }),
    { numRuns: 3 * propertyRuns() },
  )
})

t.test('what does not work is refused, with its place and the way out', async t => {
  const refused: Record<string, string> = {
    'ports { https = 8501 } tls {}': '0.hcl:1: ports.https: needs a certificate and its key',
    'ports { https = 8501 http = -1 }': 'ports.https: needs a certificate and its key',
    'ports { https = 8501 } addresses { https = "127.0.0.1" }': 'needs a certificate and its key',
    'ports { https = 8501 } tls { https { cert_file = "c" } }':
      '0.hcl:1: tls.https.cert_file: needs key_file beside it',
    'tls { defaults { key_file = "k" } }': 'tls.defaults.key_file: needs cert_file beside it',
    [`tls { defaults { ${PAIR} verify_incoming = true } }`]:
      'tls.defaults.verify_incoming: needs ca_file or ca_path',
    'tls { https { ca_file = "c" verify_incoming = true } }':
      'tls.https.verify_incoming: needs cert_file and key_file',
    [`${PAIR} verify_incoming_https = true`]: 'verify_incoming: needs ca_file or ca_path',
    'verify_outgoing = true': 'verify_outgoing: needs ca_file or ca_path',
    'tls { defaults { tls_min_version = "1.2" } }': 'must be TLSv1_2, TLSv1_3 or TLS_AUTO',
    'tls { https { tls_cipher_suites = "TLS_RSA_WITH_RC4_128_SHA" } }': 'suite that is not known',
    'tls { https { tls_min_version = "TLSv1_3" tls_cipher_suites = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" } }':
      'suites of TLS 1.3 cannot be chosen',
    'tls { https { verify_server_hostname = true } }': 'is only valid in tls.defaults',
    'tls { grpc { verify_outgoing = false } }': 'is only valid in tls.defaults, tls.https',
    'tls { https { use_auto_cert = true } }': 'is only valid in tls.grpc',
    'tls { enabled = true }': 'tls.enabled: is true and nothing listens with TLS',
    [`tls { enabled = false https { ${PAIR} } } ports { https = 1 }`]: 'but ports.https is on',
    [`ports { https = 8500 } ${PAIR}`]: 'ports.https: is the port of HTTP too: 8500',
    [`ports { https = 8600 } ${PAIR}`]: 'ports.https: is the port of DNS too: 8600',
  }
  for (const [body, problem] of Object.entries(refused)) {
    t.match(problemsOf(hcl(body)), problem, body)
  }
  const once = problemsOf(hcl('tls { defaults { tls_min_version = "x" } }'))
  t.equal(once.split('\n').length, 1, 'three listeners inherit it, and it is told once')
})

t.test('suites of TLS 1.2 that are inherited are left out beside 1.3, as in Consul', async t => {
  const suite = 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA'
  const { tls } = configOf(
    hcl(`tls { defaults { tls_cipher_suites = "${suite}" } grpc { tls_min_version = "TLSv1_3" } }`),
  )
  t.same(tls.https.ciphers, ['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-AES256-SHA'])
  t.same(tls.grpc.ciphers, [])
})

t.test('what has no effect, or another one, is told in one line each', async t => {
  const told: Record<string, string> = {
    'tls { defaults { tls_min_version = "TLSv1_0" } }':
      '0.hcl:1: tls.defaults.tls_min_version: raised to TLSv1_2: nothing older is spoken',
    'tls_min_version = "tls11"': 'tls_min_version: raised to TLSv1_2',
    'tls { grpc { ca_file = "x" } }':
      'tls.grpc.ca_file: taken; gRPC with TLS is off: ports.grpc_tls',
    'tls { internal_rpc { ca_file = "x" } }': 'taken; there is one server',
    'tls { https { ca_file = "x" } }': 'nothing listens with TLS: ports.https is off',
    'ca_file = "x" tls { defaults { verify_outgoing = true } }':
      'tls.defaults.verify_outgoing: taken; this agent connects to no other yet',
    'server_name = "x"': 'taken; it is for enable_agent_tls_for_checks',
  }
  for (const [body, line] of Object.entries(told)) {
    t.match(warningsOf(hcl(body)), line, body)
    const lines = warningsOf(hcl(body)).split('\n')
    t.equal(new Set(lines).size, lines.length, 'each once')
  }
  const checks = 'enable_agent_tls_for_checks = true tls { internal_rpc { ca_file = "x" } }'
  t.equal(warningsOf(hcl(checks)), '', 'what checks use is used')
})

t.test('TLS is stated by its stanza, empty or not, and by a flat key', async t => {
  const isStated = (text: string): boolean => {
    const settings = new Settings()
    settings.readText({ name: 'a', text, format: 'hcl' })
    return isTlsStated(settings)
  }
  for (const body of ['tls {}', 'tls { https {} }', 'tls { enabled = false }', 'cert_file = "x"']) {
    t.ok(isStated(body), body)
  }
  for (const body of ['', 'acl {}', 'limits { https_handshake_timeout = "1s" }', 'ports {}']) {
    t.notOk(isStated(body), body)
  }
})

t.test('off loopback the start says what is not protected, and nothing else', async t => {
  const acl = 'acl { enabled = false }'
  const secure = `client_addr = "10.0.0.1" ports { http = -1 dns = -1 https = 8501 } ${PAIR}`
  t.match(
    problemsOf(hcl(secure)),
    'HTTPS on 10.0.0.1 and gRPC with TLS on 10.0.0.1 can be reached by others. That needs both',
  )
  const only = warningsOf(hcl(`${secure} ${acl}`))
  t.match(only, 'gRPC with TLS on 10.0.0.1 can be reached by others, who have all rights')
  t.notMatch(only, 'TLS is off')
  const clear = hcl(`client_addr = "10.0.0.1" ports { https = 8501 } ${PAIR} ${acl}`)
  t.match(warningsOf(clear), /HTTP on 10.*HTTPS on 10.*what is sent in clear is read by/)
})
