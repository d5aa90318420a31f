/**
 * A certificate that is always fresh: the server gives the next one before each has ended.
 *
 * Owns the stream behind it. Each stream begins with a certificate, so one that ends early is
 * opened again only when the next certificate is due. Never logs a key.
 */
import { X509Certificate } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { certificatesApi, type WireCertificate, type WireCertificateWish } from './api.ts'
import { deferred } from './deferred.ts'
import { closedError, type ErrorCode, GatehouseError } from './errors.ts'
import { Listeners } from './listeners.ts'
import { isServersFault, type OpenStream, type Servers } from './servers.ts'

/** What is asked of a role. */
export interface CertificateOptions {
  readonly commonName: string
  readonly altNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly uris?: readonly string[]
  /** The role's unless given. */
  readonly ttlSeconds?: number
  /** Where the engine is mounted; `pki` unless given. */
  readonly mount?: string
  /** PKCS #10, for a key that stays here; without it the server draws a key each time. */
  readonly csrPem?: string
}

/** A certificate with its key, as node:tls takes them. */
export interface Certificate {
  /** In hex with colons. */
  readonly serial: string
  /** The certificate, and who signed it up to the root, which is left out. */
  readonly cert: string
  /** Empty where it is of a key of your own. */
  readonly key: string
  /** The last of those who signed: the root, where the server knows it. */
  readonly ca: string
  /** By the wall clock, in milliseconds since 1970. */
  readonly notAfterMs: number
}

/** What a live certificate tells. */
export interface CertificateEvents extends Record<string, unknown> {
  /** A fresh one is there. */
  change: Certificate
  /** None could be got; that is tried again and again. */
  problem: GatehouseError
}

/** A certificate that is always fresh. */
export interface LiveCertificate {
  readonly role: string
  readonly current: Certificate
  on<N extends keyof CertificateEvents & string>(
    name: N,
    listener: (what: CertificateEvents[N]) => void,
  ): () => void
  close(): void
}

export interface CertificateWorld {
  readonly clock: Clock
  readonly servers: Servers
  readonly namespace: string
}

const FINAL: ReadonlySet<ErrorCode> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'UNIMPLEMENTED',
])

export class KeptCertificate implements LiveCertificate {
  readonly role: string
  readonly #world: CertificateWorld
  readonly #request: { wish: WireCertificateWish; csrPem: string; renewAt: number }
  readonly #listeners = new Listeners<CertificateEvents>()
  readonly #over = new AbortController()
  readonly #first = deferred<this>()
  #current: Certificate | undefined
  /** By the wall clock, when the server wanted to give the next one. */
  #nextMs = 0
  /** The token was replaced since a certificate came last: not again and again. */
  #isRenewed = false

  constructor(role: string, options: CertificateOptions, world: CertificateWorld) {
    this.role = role
    this.#world = world
    this.#request = {
      wish: {
        mount: options.mount ?? '',
        role,
        commonName: options.commonName,
        altNames: options.altNames ?? [],
        ipAddresses: options.ipAddresses ?? [],
        uris: options.uris ?? [],
        ttlSeconds: options.ttlSeconds ?? 0,
        namespace: world.namespace,
      },
      csrPem: options.csrPem ?? '',
      renewAt: 0,
    }
  }

  /** Gets the first one. Rejects where the servers refuse it. */
  begin(): Promise<this> {
    void this.#keep()
    return this.#first.promise
  }

  get current(): Certificate {
    return this.#current!
  }

  on<N extends keyof CertificateEvents & string>(
    name: N,
    listener: (what: CertificateEvents[N]) => void,
  ): () => void {
    return this.#listeners.on(name, listener)
  }

  close(): void {
    this.#over.abort()
    this.#first.reject(closedError())
  }

  async #keep(): Promise<void> {
    const { clock, servers } = this.#world
    const signal = AbortSignal.any([this.#over.signal, servers.closed])
    while (!signal.aborted) {
      const error = await this.#watch(signal)
      if (signal.aborted) break
      if (this.#current === undefined && error !== undefined && FINAL.has(error.code)) {
        this.#first.reject(error)
        break
      }
      if (error !== undefined) this.#listeners.tell('problem', error)
      const leftMs = this.#current === undefined ? 0 : this.#nextMs - clock.wall()
      const leastMs = error?.retryable === false ? limits.clientRenewRetryMs : 0
      await pause(clock, Math.max(leftMs, leastMs), signal)
    }
    this.close()
  }

  /** One stream, from its opening to its end; gives what ended it. */
  async #watch(signal: AbortSignal): Promise<GatehouseError | undefined> {
    const { servers } = this.#world
    const ended = deferred<GatehouseError | undefined>()
    let stream: OpenStream | undefined
    const leave = (): void => ended.resolve(closedError())
    signal.addEventListener('abort', leave, { once: true })
    try {
      stream = await servers.listen(
        certificatesApi.watch,
        this.#request,
        {
          onMessage: ({ certificate, delay, nextMs }) => {
            stream?.works()
            this.#nextMs = nextMs
            if (certificate) this.#take(certificate)
            else if (delay) this.#listeners.tell('problem', delayed(delay.message))
          },
          onEnd: ended.resolve,
        },
        signal,
      )
      const error = await ended.promise
      if (signal.aborted) return error
      if (error?.code === 'UNAUTHENTICATED' && !this.#isRenewed) {
        this.#isRenewed = true
        if (await stream.renewToken()) return undefined
      }
      if (isServersFault(error)) stream.failed()
      return error
    } catch (error) {
      return error as GatehouseError
    } finally {
      signal.removeEventListener('abort', leave)
      stream?.cancel()
    }
  }

  #take(wire: WireCertificate): void {
    this.#isRenewed = false
    this.#current = certificateOf(wire)
    this.#first.resolve(this)
    this.#listeners.tell('change', this.#current)
  }
}

const delayed = (message: string): GatehouseError => new GatehouseError('UNAVAILABLE', message)

function certificateOf(wire: WireCertificate): Certificate {
  const chain = wire.caChainPem.length > 0 ? wire.caChainPem : [wire.issuingCaPem]
  // Who connects has the root, or trusts nobody.
  const between = chain.filter(pem => pem !== '' && !isRoot(pem))
  return {
    serial: wire.serialNumber,
    cert: [wire.certificatePem, ...between].map(pem => `${pem.trim()}\n`).join(''),
    key: wire.privateKeyPem,
    ca: chain.at(-1) ?? '',
    notAfterMs: wire.notAfterSeconds * 1_000,
  }
}

function isRoot(pem: string): boolean {
  const { subject, issuer } = new X509Certificate(pem)
  return subject === issuer
}
