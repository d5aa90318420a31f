/**
 * Why a target could not be reached, in the words that Go's clients use and people search for.
 *
 * Owns the texts. They name addresses and causes, never anything that was sent or received. Pure.
 */
import { messageOf } from '../base/errors.ts'

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
  EHOSTDOWN: 'host is down',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EINVAL: 'invalid argument',
  EMFILE: 'too many open files',
  EPIPE: 'broken pipe',
}

/** What is wrong with a certificate. */
export const UNKNOWN_AUTHORITY = 'certificate signed by unknown authority'
export const OUT_OF_TIME = 'certificate has expired or is not yet valid'
export const WRONG_NAME = 'certificate is not valid for this name'
const CERTIFICATE_FAULTS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: OUT_OF_TIME,
  CERT_NOT_YET_VALID: OUT_OF_TIME,
  ERR_TLS_CERT_ALTNAME_INVALID: WRONG_NAME,
}

interface SystemFault {
  readonly code?: string
  readonly syscall?: string
  readonly address?: string
  readonly port?: number
  readonly message?: string
}

/** The text of an error of node:net, node:tls or node:http. */
export function faultText(error: unknown): string {
  // Several addresses were tried: the first one says most.
  const first: unknown = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  const { code = '', syscall, address, port, message } = first as SystemFault
  if (message === 'socket hang up') return 'EOF'
  if (code === 'EPROTO') return 'tls: first record does not look like a TLS handshake'
  if (code.startsWith('HPE_')) return 'malformed HTTP response'
  const certificate = CERTIFICATE_FAULTS[code]
  if (certificate !== undefined) return `tls: failed to verify certificate: x509: ${certificate}`
  const cause = causeOf(code)
  if (cause === undefined) return messageOf(first)
  if (address === undefined || port === undefined) return `${syscall ?? 'dial'}: ${cause}`
  return `dial tcp ${hostPort(address, port)}: ${syscall ?? 'connect'}: ${cause}`
}

/** The cause that a system error stands for, in Go's words; undefined where it has none. */
export const causeOf = (code: string): string | undefined => CAUSES[code]

/** `127.0.0.1:80`, `[::1]:80`. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
