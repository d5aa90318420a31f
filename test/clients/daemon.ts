/**
 * The real daemon as a child process on free ports, as a person starts it: by bin/gatehouse.
 *
 * Owns the start, until it says Ready. With GATEHOUSE_TEST_TARGET the daemon is one of several
 * (target.ts), and whoever asks it need not know.
 */
import type { Test } from 'tap'
import { launch, tempFolder } from './process.ts'
import { type Daemon, type DaemonOptions, daemonOf, program, whenReady } from './running.ts'

export {
  type Answer,
  askPort,
  type Daemon,
  type DaemonOptions,
  daemonOf,
  program,
  root,
} from './running.ts'

/** What a test is run against. */
export type Target = 'server' | 'cluster' | 'agent'

const TARGETS: readonly string[] = ['server', 'cluster', 'agent'] satisfies Target[]

/** One server; three of them behind one address; an agent of those that is no server. */
export const target = (): Target => {
  const { GATEHOUSE_TEST_TARGET: named = 'server' } = process.env
  if (!TARGETS.includes(named)) throw new Error(`GATEHOUSE_TEST_TARGET is ${named}`)
  return named as Target
}

/** What there is behind a target. */
interface Shape {
  /** Whether the agent that is asked is a server. */
  readonly isServer: boolean
  readonly servers: number
  /** Agents of either kind. */
  readonly members: number
}

const shapes: Readonly<Record<Target, Shape>> = {
  server: { isServer: true, servers: 1, members: 1 },
  cluster: { isServer: true, servers: 3, members: 3 },
  agent: { isServer: false, servers: 3, members: 4 },
}

export const shape = (): Shape => shapes[target()]

/** The words that start an agent of the given kind. */
export function agentWords(dataDir: string, options: DaemonOptions = {}): string[] {
  const ports = ['-http-port=0', '-dns-port=0', '-server-port=0', '-secrets-port=0']
  const engine = `-hcl=store { engine = "${options.engine ?? 'level'}" }`
  return ['agent', `-data-dir=${dataDir}`, engine, ...ports, ...(options.words ?? [])]
}

/**
 * Starts a daemon and waits until it is ready; it is ended with the test at the latest. Where the
 * environment says so, it is one of several: what holds for clients holds there too.
 */
export async function startDaemon(t: Test, options: DaemonOptions = {}): Promise<Daemon> {
  // Who names an engine that servers share has it for himself.
  if (target() !== 'server' && options.engine !== 'etcd') {
    const { startBehindOne, startBeside } = await import('./target.ts')
    return target() === 'cluster' ? startBehindOne(t, options) : startBeside(t, options)
  }
  const dataDir = options.dataDir ?? tempFolder(t)
  const launched = launch(t, program, agentWords(dataDir, options), { env: options.env ?? {} })
  await whenReady(launched)
  return daemonOf(launched, dataDir)
}
