/**
 * What is told of the agent's certificates: which there are, and how long they are good for.
 */
import t, { type Test } from 'tap'
import { addCertificateGauge, certificatesOf } from '../../src/agent/certificates.ts'
import type { SettledConfig } from '../../src/agent/config.ts'
import { loadConfig } from '../../src/agent/config-load.ts'
import { systemClock } from '../../src/base/clock.ts'
import { Gauge, Metrics } from '../../src/base/metrics.ts'
import { tempFolder } from '../clients/process.ts'
import { makeAuthority } from '../x509/pki.ts'

async function tlsOf(hcl: string): Promise<SettledConfig['tls']> {
  const loaded = await loadConfig([{ name: 'hcl', value: hcl }])
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  return loaded.config.tls
}

function gaugesOf(t: Test, tls: SettledConfig['tls']): number[] {
  const metrics = new Metrics(systemClock)
  t.teardown(() => metrics.stop())
  addCertificateGauge(metrics, systemClock, () => tls)
  const found = metrics.all().filter(({ name }) => name === 'agent.tls.cert.expiry')
  return found.map(each => (each instanceof Gauge ? each.read() : Number.NaN))
}

t.test('the certificate of HTTPS, and that of checks where it is another', async t => {
  const authority = makeAuthority(tempFolder(t))
  const [web, checks] = [authority.issue('web'), authority.issue('checks', { untilDays: 5 })]
  const files = ({ certFile, keyFile }: typeof web): string =>
    `cert_file = "${certFile}" key_file = "${keyFile}"`
  t.same(certificatesOf(await tlsOf('')), [])
  t.same(gaugesOf(t, await tlsOf('')), [], 'no gauge of nothing')
  const one = await tlsOf(`${files(web)} enable_agent_tls_for_checks = true`)
  const [shown, ...others] = certificatesOf(one)
  t.same(others, [])
  t.match(shown, {
    use: 'https',
    path: web.certFile,
    subject: 'CN=web',
    issuer: 'CN=test-ca',
    serial: /^[0-9A-F]{2,40}$/,
  })
  t.notMatch(JSON.stringify(shown), web.key.split('\n')[1]!)
  const [left = 0] = gaugesOf(t, one)
  const DAY_SECONDS = 86_400
  t.ok(left > 29 * DAY_SECONDS && left <= 30 * DAY_SECONDS, `${left} s are left`)
  const stanzas = `enable_agent_tls_for_checks = true
    tls { https { ${files(web)} } internal_rpc { ${files(checks)} } }`
  const two = certificatesOf(await tlsOf(stanzas))
  t.same(
    two.map(({ use, path }) => [use, path]),
    [
      ['https', web.certFile],
      ['checks', checks.certFile],
    ],
  )
})
