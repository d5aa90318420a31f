/**
 * One run of a UDP check: a datagram, and its answer or refusal, or the end of the time.
 *
 * Owns its socket, which is gone when the run is over, however it ended. The socket is connected,
 * so that the system tells of a port on which nobody listens (ICMP).
 */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { messageOf } from '../base/errors.ts'
import { CheckStatus } from '../store/tables/check.ts'
import { parseTarget, withAddresses } from './connect.run.ts'
import type { StartRun } from './define.ts'
import { causeOf, hostPort } from './fault.ts'

/** Says who asks, for whoever finds it in a log. */
const MESSAGE = Buffer.from('health check')

/** Starts one run; see StartRun. */
export const runUdp: StartRun = ({ definition: { udp = '' } }, tools, report) => {
  let socket: Socket | undefined
  let isOver = false
  const close = (): void => {
    isOver = true
    // A late refusal of a socket that nobody looks at any more must not be thrown.
    socket?.removeAllListeners().on('error', () => {})
    socket?.close()
    socket = undefined
  }
  const end = (fault: string | undefined): void => {
    if (isOver) return
    close()
    if (fault === undefined) {
      report({ status: CheckStatus.passing, output: `UDP connect ${udp}: Success` })
    } else report({ status: CheckStatus.critical, output: fault })
  }
  const target = parseTarget(udp)
  if (target === undefined) end(`dial udp: address ${udp}: missing port in address`)
  else if (target.port === 0) end(`dial udp: address ${udp}: invalid port`)
  else {
    const found = ([address = '']: readonly string[]): void => {
      if (isOver) return
      const sending = openSocket(address, target.port, end)
      socket = sending
      sending.on('connect', () => sending.send(MESSAGE))
    }
    withAddresses(tools, target.host, found, error => end(`dial udp: ${messageOf(error)}`))
  }
  return {
    end(why) {
      if (why === 'timeout') end(undefined)
      else if (!isOver) close()
    },
  }
}

function openSocket(
  address: string,
  port: number,
  end: (fault: string | undefined) => void,
): Socket {
  const socket = createSocket({
    type: isIPv6(address) ? 'udp6' : 'udp4',
    lookup: (_host, _options, done) => done(null, address, isIPv6(address) ? 6 : 4),
  })
  const remote = hostPort(address, port)
  socket.on('message', () => end(undefined))
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const cause = causeOf(error.code ?? '') ?? messageOf(error)
    end(`read udp ${localOf(socket)}->${remote}: read: ${cause}`)
  })
  socket.connect(port, address)
  return socket
}

function localOf(socket: Socket): string {
  try {
    const { address, port } = socket.address()
    return hostPort(address, port)
  } catch {
    return ''
  }
}
