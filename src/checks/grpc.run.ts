/**
 * One run of a gRPC check: a connection of its own and one call.
 *
 * Owns its client, which is closed when the run is over, however it ended.
 */
import { isIPv6 } from 'node:net'
import { messageOf } from '../base/errors.ts'
import { openRpcClient, RpcError } from '../base/io/grpc.ts'
import type { CheckDefinition } from '../store/tables/check.ts'
import { parseTarget, type Target, withAddresses } from './connect.run.ts'
import type { CheckResult, RunTools, StartRun } from './define.ts'
import { hostPort } from './fault.ts'
import { grpcFault, grpcResult, grpcTarget, grpcUnreachable } from './grpc-exchange.ts'

/** Starts one run; see StartRun. */
export const runGrpc: StartRun = ({ definition, timeoutMs }, tools, report) => {
  const { server, service } = grpcTarget(definition.grpc ?? '')
  let isOver = false
  let close = (): void => {}
  const end = (result: CheckResult): void => {
    if (isOver) return
    isOver = true
    close()
    report(result)
  }
  const ask = async (target: Target, addresses: readonly string[]): Promise<CheckResult> => {
    const client = await openHealthClient(definition, target, addresses, tools)
    close = () => client.close()
    if (isOver) close()
    const { status } = await client.call('grpc.health.v1.Health/Check', { service }, timeoutMs)
    return grpcResult(definition.grpc ?? '', status)
  }
  const target = parseTarget(server)
  if (target === undefined)
    end(grpcUnreachable(`dial tcp: address ${server}: missing port in address`))
  else {
    const found = (addresses: readonly string[]): void => {
      if (!isOver) ask(target, addresses).then(end, error => end(faultOf(error)))
    }
    const failed = (e: unknown): void => end(grpcUnreachable(`dial tcp: ${messageOf(e)}`))
    withAddresses(tools, target.host, found, failed)
  }
  return {
    end(why) {
      if (why === 'timeout') end(grpcFault('DEADLINE_EXCEEDED', 'context deadline exceeded'))
      isOver = true
      close()
    },
  }
}

type HealthMethods = {
  'grpc.health.v1.Health/Check': {
    readonly request: { readonly service: string }
    readonly answer: { readonly status: string }
  }
}

function openHealthClient(
  definition: CheckDefinition,
  { host, port }: Target,
  addresses: readonly string[],
  tools: RunTools,
) {
  // All of one family, as the library wants it; names with both are asked at their IPv4 ones.
  const isSix = isIPv6(addresses[0] ?? '')
  const same = addresses.filter(address => isIPv6(address) === isSix)
  const list = same.map(address => hostPort(address, port)).join(',')
  return openRpcClient<HealthMethods>('grpc/health.proto', `ipv${isSix ? 6 : 4}:${list}`, {
    authority: hostPort(host, port),
    isShared: false,
    ...(definition.grpcUseTls === true ? { tls: tlsOf(definition, host, tools) } : {}),
  })
}

function tlsOf(
  { tlsServerName, tlsSkipVerify }: CheckDefinition,
  host: string,
  { agentTls }: RunTools,
) {
  const own = agentTls?.()
  return {
    name: tlsServerName || (own?.serverName ?? host),
    rejectUnauthorized: tlsSkipVerify !== true,
    ...(own === undefined ? {} : { pems: own.pems }),
  }
}

const faultOf = (error: unknown): CheckResult =>
  error instanceof RpcError
    ? grpcFault(error.code, error.message)
    : grpcFault('UNKNOWN', messageOf(error))
