/**
 * The certificates that the agent shows, and how long they are good for.
 *
 * Owns which they are: that of HTTPS, and that of checks where it is another. Tells what stands in
 * a certificate, which everybody sees who connects, and never anything of its key.
 */
import type { Clock } from '../base/clock.ts'
import type { Metrics } from '../base/metrics.ts'
import type { TlsMaterial } from '../base/tls.ts'
import type { AgentCertificate } from '../http/registry/metrics.ts'
import type { TlsSettings } from './config-tls.ts'

/** The certificates of a configuration whose files were read. */
export function certificatesOf({ https, internalRpc, forChecks }: TlsSettings): AgentCertificate[] {
  const used = [
    { use: 'https', part: https },
    ...(forChecks && internalRpc.material?.digest !== https.material?.digest
      ? [{ use: 'checks', part: internalRpc }]
      : []),
  ]
  return used.flatMap(({ use, part }) => {
    const certificate = read(part.material)
    return certificate === undefined ? [] : [{ use, path: part.certFile ?? '', ...certificate }]
  })
}

type Facts = Omit<AgentCertificate, 'use' | 'path'>

function read(material: TlsMaterial | undefined): Facts | undefined {
  const certificate = material?.certificate()
  if (certificate === undefined) return undefined
  const { serialNumber: serial, subject, issuer, validToDate: notAfter } = certificate
  return { serial, subject: oneLine(subject), issuer: oneLine(issuer), notAfter }
}

/** Node gives a name with a part a line. */
const oneLine = (name: string): string => name.replaceAll('\n', ',')

/** Adds Consul's gauge of what is left to a certificate; nothing where none is shown. */
export function addCertificateGauge(metrics: Metrics, clock: Clock, tls: () => TlsSettings): void {
  const left = (): number => {
    const [first] = certificatesOf(tls())
    if (first === undefined) return Number.NaN
    return Math.floor((first.notAfter.getTime() - clock.wall()) / 1_000)
  }
  if (Number.isNaN(left())) return
  metrics.gauge('agent.tls.cert.expiry', 'Seconds until the certificate of HTTPS ends.', left)
}
