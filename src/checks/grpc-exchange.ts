/**
 * What a gRPC check asks for, and what its answers and failures mean, in the words of Go's clients.
 *
 * Owns the form `host:port[/service]` and the texts. Pure.
 */
import { CheckStatus } from '../store/tables/check.ts'
import type { CheckResult } from './define.ts'
import { causeOf, hostPort, OUT_OF_TIME, UNKNOWN_AUTHORITY, WRONG_NAME } from './fault.ts'

/** The server and the service that a check names; the service '' is the server as a whole. */
export function grpcTarget(text: string): { readonly server: string; readonly service: string } {
  const slash = text.indexOf('/')
  return slash === -1
    ? { server: text, service: '' }
    : { server: text.slice(0, slash), service: text.slice(slash + 1) }
}

/** What an answer means; `status` is the name of the enum's value. */
export function grpcResult(target: string, status: string): CheckResult {
  return status === 'SERVING'
    ? { status: CheckStatus.passing, output: `gRPC check ${target}: success` }
    : { status: CheckStatus.critical, output: `gRPC ${target} serving status: ${status}` }
}

/** Critical: a call that ended with this status (`UNIMPLEMENTED`) and message. */
export function grpcFault(code: string, message: string): CheckResult {
  const words = code.toLowerCase().split('_')
  const name = words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  const output = `rpc error: code = ${name} desc = ${descriptionOf(message)}`
  return { status: CheckStatus.critical, output }
}

/** What stands for a connection that did not come about in the library's words. */
const NO_CONNECTION =
  /^No connection established\.(?: Last error: (.*?))?(?:\. Resolution note:.*)?$/s
/** The library hands on messages of node:tls, without their codes. */
const CERTIFICATE_FAULTS: readonly (readonly [RegExp, string])[] = [
  [/self-signed|unable to (get|verify)/, UNKNOWN_AUTHORITY],
  [/expired|not yet valid/, OUT_OF_TIME],
  [/altnames/, WRONG_NAME],
]
const SYSTEM_FAULT = /\b(E[A-Z]+)\b(?: (\S+):(\d+))?/

function descriptionOf(message: string): string {
  const failed = NO_CONNECTION.exec(message)
  if (failed === null)
    return message.replace(/^The server does not implement the method .*/s, UNKNOWN)
  const last = failed[1] ?? ''
  const [, code = '', host, port] = SYSTEM_FAULT.exec(last) ?? []
  const certificate = CERTIFICATE_FAULTS.find(([pattern]) => pattern.test(last))?.[1]
  if (certificate !== undefined) {
    const why = `tls: failed to verify certificate: x509: ${certificate}`
    return `connection error: desc = "transport: authentication handshake failed: ${why}"`
  }
  const cause = causeOf(code)
  const address = host === undefined ? '' : ` ${hostPort(host, Number(port))}`
  const why = cause === undefined ? last : `dial tcp${address}: connect: ${cause}`
  return `connection error: desc = "transport: Error while dialing: ${why}"`
}

const UNKNOWN = 'unknown service grpc.health.v1.Health'

/** Critical: no server was found to ask. */
export function grpcUnreachable(why: string): CheckResult {
  return grpcFault(
    'UNAVAILABLE',
    `connection error: desc = "transport: Error while dialing: ${why}"`,
  )
}
