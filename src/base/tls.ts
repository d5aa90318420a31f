/**
 * What a TLS listener or client shows and trusts: certificates and a key that were read.
 *
 * Owns that the key is seen by nobody but the socket that needs it: it is in no field, so neither
 * a log, nor JSON, nor an error that prints its surroundings can hold it. Knows no files.
 */
import { createHash, X509Certificate } from 'node:crypto'

export type { SecureContext } from 'node:tls'

/** PEM texts, as node:tls takes them. */
export interface TlsPems {
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly ca: readonly Buffer[]
}

export class TlsMaterial {
  /** Differs where any of the texts does; tells nothing of them. */
  readonly digest: string
  readonly #pems: TlsPems

  constructor(pems: TlsPems) {
    this.#pems = pems
    const hash = createHash('sha256')
    for (const part of [pems.cert, pems.key, ...pems.ca]) {
      hash.update(`${part?.length ?? -1}:`)
      if (part !== undefined) hash.update(part)
    }
    this.digest = hash.digest('hex')
  }

  /** For a socket's options, and nothing else. */
  pems(): TlsPems {
    return this.#pems
  }

  /** Whether there are authorities to hold others against. */
  get hasAuthorities(): boolean {
    return this.#pems.ca.length > 0
  }

  /** The certificate that is shown; undefined where there is none. */
  certificate(): X509Certificate | undefined {
    const { cert } = this.#pems
    return cert === undefined ? undefined : new X509Certificate(cert)
  }

  /** Whether there is a certificate to show. */
  get hasCertificate(): boolean {
    return this.#pems.cert !== undefined
  }
}

/** The oldest version that a listener speaks; there is nothing below 1.2. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** How a listener speaks TLS. */
export interface SecureOptions {
  readonly material: TlsMaterial
  readonly minVersion: TlsVersion
  /** OpenSSL's names for TLS 1.2, the best first; empty for `modernCiphers`. */
  readonly ciphers: readonly string[]
  /** Whether clients must show a certificate that the authorities signed for clients. */
  readonly verifiesClients: boolean
}

/**
 * Suites of TLS 1.2 and Consul's (IANA's) names of them: forward secret all, those that
 * authenticate what they encrypt first.
 */
export const cipherNames: ReadonlyMap<string, string> = new Map([
  ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA'],
])

/** What is offered for TLS 1.2 unless something else is configured. */
export const modernCiphers: readonly string[] = [...cipherNames.values()].filter(
  name => !name.endsWith('-SHA'),
)
