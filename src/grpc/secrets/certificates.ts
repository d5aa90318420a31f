/**
 * `gatehouse.v1.Certificates`: certificates are given, signed, revoked and kept fresh.
 *
 * Owns the methods, and when `Watch` gives the next certificate: by the rule of `gatehouse cert
 * watch`, each time with the rights that the token has then. Keys that a server draws are told once
 * and kept nowhere.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { pause } from '../../base/pause.ts'
import { type RenewalPace, renewalMs, retryInMs, usualPace } from '../../base/renewal.ts'
import { codeNumbers } from '../../base/rpc.ts'
import type { JsonObject } from '../../secrets/field.ts'
import {
  decidedInside,
  type GrpcCall,
  GrpcFailure,
  type GrpcMethod,
  type GrpcOut,
  serverStream,
  unary,
} from '../declare.ts'
import { type Ending, endingOf } from '../status.ts'
import {
  type Asked,
  Door,
  dataIn,
  objectOf,
  requestOf,
  type SecretsGrpcPorts,
  type Told,
} from './door.ts'
import { leaseMessage, type SecretLease } from './messages.ts'

interface Wish {
  readonly mount: string
  readonly role: string
  readonly issuerRef: string
  readonly commonName: string
  readonly altNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
  readonly ttlSeconds: number
  readonly more: Buffer
  readonly namespace: string
}

interface WishRequest {
  readonly wish?: Wish | null
  /** '' where the server is to draw the key. */
  readonly csrPem?: string
}

interface WatchRequest extends WishRequest {
  readonly renewAt: number
  readonly jitter?: number
  readonly _jitter?: string
}

interface RevokeRequest {
  readonly mount: string
  readonly serialNumber?: string
  readonly certificatePem?: string
  readonly privateKeyPem: string
  readonly namespace: string
}

interface Certificate {
  readonly serialNumber: string
  readonly certificatePem: string
  readonly issuingCaPem: string
  readonly caChainPem: readonly string[]
  readonly privateKeyPem: string
  readonly privateKeyType: string
  readonly notBeforeSeconds: number
  readonly notAfterSeconds: number
  readonly lease?: SecretLease
  readonly warnings: readonly string[]
  readonly requestId: string
}

interface WatchAnswer {
  readonly certificate?: Certificate
  readonly delay?: { readonly code: number; readonly message: string }
  readonly nextMs: number
}

/** What the paths of a role give. */
interface Given {
  readonly serial_number: string
  readonly certificate: string
  readonly issuing_ca: string
  readonly ca_chain: readonly string[]
  readonly private_key: string
  readonly private_key_type: string
  readonly not_before: number
  readonly expiration: number
}

const protoFile = 'gatehouse/v1/certificates.proto'
const SERVICE = 'gatehouse.v1.Certificates'
const DEFAULT_MOUNT = 'pki'
const nameOf = ({ wish }: WishRequest): string => `${wish?.mount ?? ''}/${wish?.role ?? ''}`

/** The methods. */
export function certificatesService(ports: SecretsGrpcPorts): readonly GrpcMethod[] {
  const door = new Door(ports)
  const watches = new Watches(door, ports)
  const giving = (name: string, summary: string) =>
    unary<WishRequest, Certificate>({
      ...{
        protoFile,
        path: `${SERVICE}/${name}`,
        summary,
        effect: 'writes',
        access: decidedInside,
      },
      nameOf,
      run(request, call) {
        if (name === 'Sign' && (request.csrPem ?? '') === '') return NO_CSR
        const asked = askedOf(request)
        return asked instanceof Refusal ? asked : give(door, call, asked)
      },
    })
  return [
    giving('Issue', 'Gives a certificate with a new key.'),
    giving('Sign', 'Signs a request for a key of the client’s.'),
    unary<RevokeRequest, object>({
      ...{ protoFile, path: `${SERVICE}/Revoke`, effect: 'writes', access: decidedInside },
      summary: 'Revokes a certificate.',
      nameOf: ({ serialNumber = '' }) => serialNumber,
      run: (request, call) => revoke(door, call, request),
    }),
    serverStream<WatchRequest, WatchAnswer>({
      ...{ protoFile, path: `${SERVICE}/Watch`, effect: 'writes', access: decidedInside },
      summary: 'Gives a certificate, and a fresh one before each ends.',
      nameOf,
      run: (request, call, out) => watches.run(request, call, out),
    }),
  ]
}

const NO_CSR = new Refusal(400, 'csr_pem: must not be empty')
const NO_WISH = new Refusal(400, 'wish: must be given')
const NO_ROLE = new Refusal(400, 'wish.role: must not be empty')

/** The request for a certificate, as the paths of the role take it. */
function askedOf({ wish, csrPem = '' }: WishRequest): Asked | Refusal {
  if (wish === undefined || wish === null) return NO_WISH
  if (wish.role === '') return NO_ROLE
  const more = objectOf(wish.more)
  if (more instanceof Refusal) return more
  const verb = csrPem === '' ? 'issue' : 'sign'
  const issuer = wish.issuerRef === '' ? '' : `issuer/${wish.issuerRef}/`
  const named: JsonObject = {
    ...(wish.commonName !== '' && { common_name: wish.commonName }),
    ...(wish.altNames.length > 0 && { alt_names: wish.altNames.join(',') }),
    ...(wish.ipAddresses.length > 0 && { ip_sans: [...wish.ipAddresses] }),
    ...(wish.uris.length > 0 && { uri_sans: [...wish.uris] }),
    ...(wish.ttlSeconds > 0 && { ttl: wish.ttlSeconds }),
    ...(csrPem !== '' && { csr: csrPem }),
  }
  return {
    operation: 'update',
    path: `${wish.mount || DEFAULT_MOUNT}/${issuer}${verb}/${wish.role}`,
    namespace: wish.namespace,
    data: { ...more, ...named, format: 'pem' },
    bodySizeBytes: wish.more.length,
  }
}

async function give(door: Door, call: GrpcCall, asked: Asked): Promise<Certificate | Refusal> {
  const told = await door.get(call, asked)
  return told instanceof Refusal ? told : certificateOf(told)
}

function certificateOf(told: Told): Certificate | Refusal {
  const given = dataIn<Given>(told.answer)
  if (given.certificate === undefined) return NO_PKI
  const lease = leaseMessage(told)
  return {
    serialNumber: given.serial_number ?? '',
    certificatePem: given.certificate,
    issuingCaPem: given.issuing_ca ?? '',
    caChainPem: given.ca_chain ?? [],
    privateKeyPem: given.private_key ?? '',
    privateKeyType: given.private_key_type ?? '',
    notBeforeSeconds: given.not_before ?? 0,
    notAfterSeconds: given.expiration ?? 0,
    ...(lease !== undefined && { lease }),
    warnings: told.answer.warnings ?? [],
    requestId: told.id,
  }
}

const NO_PKI = new Refusal(400, 'the mount is none of pki')

async function revoke(door: Door, call: GrpcCall, request: RevokeRequest) {
  const { mount, serialNumber, certificatePem, privateKeyPem, namespace } = request
  const isByKey = privateKeyPem !== ''
  const told = await door.get(call, {
    operation: 'update',
    path: `${mount || DEFAULT_MOUNT}/revoke${isByKey ? '-with-key' : ''}`,
    namespace,
    data: {
      ...(serialNumber !== undefined && { serial_number: serialNumber }),
      ...(certificatePem !== undefined && { certificate: certificatePem }),
      ...(isByKey && { private_key: privateKeyPem }),
    },
  })
  if (told instanceof Refusal) return told
  const { revocation_time: revokedS = 0, state = '' } = dataIn<{
    revocation_time: number
    state: string
  }>(told.answer)
  const warnings = told.answer.warnings ?? []
  return { revocationTimeSeconds: revokedS, state, warnings, requestId: told.id }
}

// --- kept fresh

/** A certificate that a stream keeps fresh. */
interface Watched {
  readonly asked: Asked
  readonly pace: RenewalPace
  readonly call: GrpcCall
  readonly out: GrpcOut<WatchAnswer>
}

const TOO_MANY = new Refusal(
  429,
  `more than ${limits.certificateWatches} certificates are kept fresh by streams`,
)

/** All streams of certificates of this server. */
class Watches {
  readonly #door: Door
  readonly #ports: SecretsGrpcPorts
  #open = 0

  constructor(door: Door, ports: SecretsGrpcPorts) {
    this.#door = door
    this.#ports = ports
  }

  async run(
    request: WatchRequest,
    call: GrpcCall,
    out: GrpcOut<WatchAnswer>,
  ): Promise<Refusal | undefined> {
    const asked = askedOf(request)
    if (asked instanceof Refusal) return asked
    const pace = paceOf(request)
    if (pace instanceof Refusal) return pace
    if (this.#open >= limits.certificateWatches) return TOO_MANY
    this.#open++
    try {
      return await this.#keep({ asked, pace, call, out })
    } finally {
      this.#open--
    }
  }

  /** Gives one after the other until the client leaves, or the token may have no more. */
  async #keep(watched: Watched): Promise<Refusal | undefined> {
    const { clock, random } = this.#ports
    const { asked, pace, call, out } = watched
    let untilMs = 0
    let failures = 0
    for (let turn = 0; !call.signal.aborted; turn++) {
      const given = await this.#once(call, { ...asked, id: `${call.id}-${turn}` })
      if (call.signal.aborted) return undefined
      const nowMs = clock.wall()
      if (given instanceof Refusal || 'code' in given) {
        const ending = given instanceof Refusal ? endingOf(given) : given
        const leftMs = untilMs - nowMs
        if (leftMs <= 0 || !isPassing(ending)) throw failureOf(ending)
        const retryMs = retryInMs(failures++, leftMs, random)
        const delay = { code: codeNumbers[ending.code], message: ending.text }
        await tell(out, { delay, nextMs: nowMs + retryMs })
        await this.#wait(watched, nowMs + Math.min(retryMs, leftMs))
        continue
      }
      failures = 0
      untilMs = given.notAfterSeconds * 1_000
      const nextMs = Math.round(renewalMs({ fromMs: nowMs, untilMs }, pace, random))
      await tell(out, { certificate: given, nextMs })
      await this.#wait(watched, nextMs)
    }
    return undefined
  }

  async #once(call: GrpcCall, asked: Asked): Promise<Certificate | Refusal | Ending> {
    try {
      return await give(this.#door, call, asked)
    } catch (error) {
      return endingOf(error)
    }
  }

  /** How often each asks for its rights: where they are many, looking takes a share of the loop. */
  get #lookMs(): number {
    return Math.max(
      limits.certificateWatchLookMs,
      (this.#open / limits.certificateWatchLooksPerSecond) * 1_000,
    )
  }

  /** Waits until then by the wall clock; ends before where the token may have none any more. */
  async #wait({ asked, call }: Watched, untilMs: number): Promise<void> {
    const { clock } = this.#ports
    const request = requestOf(call, asked)
    while (!call.signal.aborted) {
      const leftMs = untilMs - clock.wall()
      if (leftMs <= 0) return
      await pause(clock, Math.min(leftMs, this.#lookMs), call.signal)
      if (call.signal.aborted || request instanceof Refusal) return
      const plan = this.#door.permits(request)
      if (plan instanceof Refusal && !isPassing(endingOf(plan))) throw failureOf(endingOf(plan))
    }
  }
}

/** The next one is asked for once the client took this one. */
async function tell(out: GrpcOut<WatchAnswer>, answer: WatchAnswer): Promise<void> {
  if (!out.send(answer)) await out.drained()
}

/** Whether it may be otherwise soon: a server that is sealed or busy, a store that is away. */
const isPassing = ({ code }: Ending): boolean =>
  code === 'UNAVAILABLE' || code === 'RESOURCE_EXHAUSTED' || code === 'INTERNAL'

const failureOf = ({ code, text, details }: Ending): GrpcFailure =>
  new GrpcFailure(code, text, details)

const WRONG_PACE = new Refusal(400, 'renew_at and jitter: must be shares of the life, below 1')

function paceOf({ renewAt, jitter, _jitter: isJitter }: WatchRequest): RenewalPace | Refusal {
  const pace = {
    renewAt: renewAt === 0 ? usualPace.renewAt : renewAt,
    jitter: isJitter === undefined ? usualPace.jitter : (jitter ?? 0),
  }
  const isRight = pace.renewAt - pace.jitter > 0 && pace.renewAt + pace.jitter < 1
  return isRight && pace.jitter >= 0 ? pace : WRONG_PACE
}
