/**
 * One run of a TCP check: a connection that is closed again at once.
 *
 * Owns its socket, which is gone when the run is over, however it ended.
 */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { messageOf } from '../base/errors.ts'
import { CheckStatus } from '../store/tables/check.ts'
import { parseTarget, tlsOptions, toAddresses, withAddresses } from './connect.run.ts'
import type { StartRun } from './define.ts'
import { faultText } from './fault.ts'

/** Starts a run; see StartRun. */
export const runTcp: StartRun = ({ definition, timeoutMs }, tools, report) => {
  const { tcp = '' } = definition
  let socket: Socket | undefined
  let isOver = false
  const end = (fault: string | undefined): void => {
    if (isOver) return
    isOver = true
    socket?.destroy()
    if (fault === undefined) {
      report({ status: CheckStatus.passing, output: `TCP connect ${tcp}: Success` })
    } else report({ status: CheckStatus.critical, output: fault })
  }
  const target = parseTarget(tcp)
  if (target === undefined) end(`dial tcp: address ${tcp}: missing port in address`)
  else {
    const found = (addresses: readonly string[]): void => {
      if (isOver) return
      const options = { ...target, ...toAddresses(addresses, timeoutMs) }
      if (definition.tcpUseTls === true) {
        socket = connectTls({ ...options, ...tlsOptions(definition, target.host, tools) })
        socket.on('secureConnect', () => end(undefined))
      } else {
        socket = connect(options)
        socket.on('connect', () => end(undefined))
      }
      socket.on('error', error => end(faultText(error)))
    }
    withAddresses(tools, target.host, found, e => end(`dial tcp: ${messageOf(e)}`))
  }
  return {
    end(why) {
      if (why === 'timeout') end(`dial tcp ${tcp}: i/o timeout`)
      isOver = true
      socket?.destroy()
    },
  }
}
