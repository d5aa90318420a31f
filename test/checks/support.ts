/**
 * What the tests of check kinds share: one run against a target, and targets on free ports.
 */
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import type { Resolver } from '../../src/base/io/dns2.ts'
import type { CheckResult, Programs, Run, RunTools, StartRun } from '../../src/checks/define.ts'
import { startProgram } from '../../src/checks/program.run.ts'
import type { CheckDefinition } from '../../src/store/tables/check.ts'

/** A resolver that knows a few names. */
export function knowing(names: Readonly<Record<string, readonly string[]>>): Resolver {
  return {
    addressesOf: async name => {
      const found = names[name]
      if (found === undefined) throw new Error(`lookup ${name}: no such host`)
      return found
    },
  }
}

/** Programs that run in the test's own process. */
export const programsHere = (environment: Readonly<Record<string, string>>): Programs => ({
  start: (request, ended) => startProgram(request, environment, ended),
  close: async () => {},
})

/** What runs share in tests: no names, no bounds on addresses, this machine's PATH. */
export const toolsWith = (more: Partial<RunTools> = {}): RunTools => ({
  resolver: knowing({}),
  mayReach: () => true,
  programs: programsHere({ PATH: process.env.PATH ?? '' }),
  environment: {},
  dockerHost: '',
  ...more,
})

export interface OnceOptions extends Partial<RunTools> {
  readonly timeoutMs?: number
  readonly outputMaxSizeBytes?: number
  /** Given the run before it is over. */
  readonly meanwhile?: (run: Run) => void
}

/** Runs a check once and gives its result. */
export function once(
  start: StartRun,
  definition: CheckDefinition,
  options: OnceOptions = {},
): Promise<CheckResult> {
  const { outputMaxSizeBytes = 4_096, timeoutMs = 10_000, meanwhile, ...tools } = options
  return new Promise((resolve, reject) => {
    let reports = 0
    const run = start({ definition, timeoutMs, outputMaxSizeBytes }, toolsWith(tools), result => {
      reports++
      if (reports > 1) reject(new Error('reported twice'))
      // Late, so that a second report would be seen.
      setTimeout(() => resolve(result), 5)
    })
    meanwhile?.(run)
  })
}

/** An HTTP target on a free port; gives its port. */
export async function httpTarget(t: Test, listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A TCP target on a free port; gives its port and the connections that it has now. */
export async function tcpTarget(
  t: Test,
  onConnection: (socket: Socket) => void = () => {},
): Promise<{ port: number; sockets: ReadonlySet<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.resume()
    onConnection(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

/** A port of this machine on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Waits, within a bound, until something holds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 2_000; tries++) {
    if (holds()) return
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  throw new Error(`never: ${what}`)
}
