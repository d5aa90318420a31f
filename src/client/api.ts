/**
 * The methods of the servers that this client calls, with the messages as they come and go.
 *
 * Owns their types alone: fields in camelCase, 64-bit numbers as numbers, bytes as Buffers, enums
 * by their names. The contracts are proto/gatehouse/v1; fields that nobody here reads are left out.
 */
import type { ApiMethod } from './link.ts'

const method = <Q extends object, A extends object>(
  file: string,
  path: string,
): ApiMethod<Q, A> => ({ protoFile: `gatehouse/v1/${file}.proto`, path: `gatehouse.v1.${path}` })

/** google.protobuf.Duration. */
export interface Duration {
  readonly seconds: number
  readonly nanos: number
}

/** A duration on the wire. */
export const durationOf = (ms: number): Duration => {
  const seconds = Math.floor(ms / 1_000)
  return { seconds, nanos: Math.round((ms - seconds * 1_000) * 1e6) }
}

/** A map of texts, absent where it is empty. */
export type WireMap = Readonly<Record<string, string>> | undefined

export interface WireKvEntry {
  readonly key: string
  readonly value: Buffer
  readonly flags: string
  readonly session: string
  readonly lockIndex: number
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface WireReadOptions {
  readonly consistency?: 'CONSISTENCY_UNSPECIFIED' | 'CONSISTENCY_CONSISTENT' | 'CONSISTENCY_STALE'
}

export interface WireKvPut {
  readonly key: string
  readonly value: Uint8Array
  readonly flags: string
  readonly cas?: number
  readonly acquire?: string
  readonly release?: string
}

export const kvApi = {
  get: method<{ key: string; read?: WireReadOptions }, { entry: WireKvEntry | null }>(
    'kv',
    'KV/Get',
  ),
  put: method<WireKvPut, { done: boolean; modifyIndex: number; lockIndex: number }>('kv', 'KV/Put'),
  delete: method<{ key: string; cas?: number; recurse?: boolean }, { done: boolean }>(
    'kv',
    'KV/Delete',
  ),
  list: method<
    { prefix: string; pageSize: number; pageToken: string; read?: WireReadOptions },
    { entries: readonly WireKvEntry[]; nextPageToken: string }
  >('kv', 'KV/List'),
}

export interface WireCreateSession {
  readonly name: string
  readonly node: string
  readonly lockDelay?: Duration
  readonly behavior: 'SESSION_BEHAVIOR_RELEASE' | 'SESSION_BEHAVIOR_DELETE'
  readonly ttl: Duration
  readonly nodeChecks: { readonly ids: readonly string[] }
}

export const sessionApi = {
  create: method<WireCreateSession, { id: string }>('session', 'Sessions/Create'),
  renew: method<{ id: string }, { session: { ttl: Duration | null } | null }>(
    'session',
    'Sessions/Renew',
  ),
  destroy: method<{ id: string }, object>('session', 'Sessions/Destroy'),
  lock: method<
    { key: string; session: string; value?: Uint8Array; wait: Duration },
    { acquired: boolean; lockIndex: number; modifyIndex: number }
  >('session', 'Sessions/Lock'),
  unlock: method<{ key: string; session: string; value?: Uint8Array }, { released: boolean }>(
    'session',
    'Sessions/Unlock',
  ),
}

export type WireHealth =
  | 'HEALTH_STATUS_UNSPECIFIED'
  | 'HEALTH_STATUS_PASSING'
  | 'HEALTH_STATUS_WARNING'
  | 'HEALTH_STATUS_CRITICAL'

export interface WireNode {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly datacenter: string
  readonly meta: WireMap
}

export interface WireService {
  readonly id: string
  readonly name: string
  readonly tags: readonly string[]
  readonly address: string
  readonly port: number
  readonly meta: WireMap
  readonly weights: { readonly passing: number; readonly warning: number } | null
}

export interface WireCheck {
  readonly checkId: string
  readonly name: string
  readonly status: WireHealth
  readonly output: string
  readonly serviceId: string
}

export interface WireInstance {
  readonly node: WireNode | null
  readonly service: WireService | null
  readonly checks: readonly WireCheck[]
  readonly status: WireHealth
}

export interface WireRegister {
  readonly skipNodeUpdate: boolean
  readonly node: { readonly name: string; readonly address: string; readonly meta: WireMap }
  readonly service: Partial<WireService>
  readonly checks: readonly {
    readonly checkId: string
    readonly name: string
    readonly status: WireHealth
    readonly serviceId: string
    readonly notes: string
    readonly definition: {
      readonly ttl: Duration
      readonly deregisterCriticalServiceAfter?: Duration
    }
  }[]
}

export const registryApi = {
  register: method<WireRegister, object>('registry', 'Registry/Register'),
  deregister: method<{ node: string; serviceId: string; checkId: string }, object>(
    'registry',
    'Registry/Deregister',
  ),
  heartbeat: method<
    { node: string; checkId: string; status: WireHealth; output: string },
    { ttl: Duration | null }
  >('registry', 'Registry/Heartbeat'),
}

export interface WireLease {
  readonly id: string
  readonly renewable: boolean
  readonly durationSeconds: number
}

export interface WireAuth {
  readonly clientToken: string
  readonly accessor: string
  readonly policies: readonly string[]
  readonly durationSeconds: number
  readonly renewable: boolean
}

export interface WireSecret {
  readonly requestId: string
  readonly data: Buffer
  readonly lease: WireLease | null
  readonly auth: WireAuth | null
  readonly warnings: readonly string[]
}

export const secretsApi = {
  read: method<{ path: string; namespace: string }, WireSecret>('secrets', 'Secrets/Read'),
  write: method<{ path: string; data: Uint8Array; namespace: string }, WireSecret>(
    'secrets',
    'Secrets/Write',
  ),
  renewLease: method<{ leaseId: string; incrementSeconds: number; namespace: string }, WireSecret>(
    'secrets',
    'Secrets/RenewLease',
  ),
  revokeLease: method<{ leaseId: string; namespace: string }, WireSecret>(
    'secrets',
    'Secrets/RevokeLease',
  ),
}

export interface WireLogin {
  readonly userpass?: {
    readonly mount: string
    readonly username: string
    readonly password: string
  }
  readonly approle?: { readonly mount: string; readonly roleId: string; readonly secretId: string }
  readonly path?: { readonly path: string; readonly data: Uint8Array }
  readonly registry?: {
    readonly authMethod: string
    readonly bearerToken: string
    readonly meta: Readonly<Record<string, string>>
  }
  readonly namespace: string
}

export const identityApi = {
  login: method<WireLogin, { auth: WireAuth | null; requestId: string }>(
    'identity',
    'Identity/Login',
  ),
  renewSelf: method<{ incrementSeconds: number; namespace: string }, { auth: WireAuth | null }>(
    'identity',
    'Identity/RenewSelf',
  ),
  revokeSelf: method<{ namespace: string }, object>('identity', 'Identity/RevokeSelf'),
}

export interface WireCertificate {
  readonly serialNumber: string
  readonly certificatePem: string
  readonly issuingCaPem: string
  readonly caChainPem: readonly string[]
  readonly privateKeyPem: string
  readonly privateKeyType: string
  readonly notBeforeSeconds: number
  readonly notAfterSeconds: number
}

export interface WireCertificateWish {
  readonly mount: string
  readonly role: string
  readonly commonName: string
  readonly altNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
  readonly ttlSeconds: number
  readonly namespace: string
}

export const certificatesApi = {
  watch: method<
    { wish: WireCertificateWish; csrPem: string; renewAt: number },
    {
      certificate?: WireCertificate
      delay?: { readonly code: number; readonly message: string }
      nextMs: number
    }
  >('certificates', 'Certificates/Watch'),
}
