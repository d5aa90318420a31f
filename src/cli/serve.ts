/**
 * What every verb does that runs an agent until it is told to stop.
 *
 * Owns the order of a start, what signals do (SIGHUP reloads, a first SIGINT or SIGTERM drains, a
 * second ends at once), and the words for a port that is busy. What is printed and where the
 * configuration comes from is the verb's own. Composing the agent is not done here.
 */
import { rm } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { dirname } from 'node:path'
import type { Config, ConfigResult, SettledConfig } from '../agent/config.ts'
import { settleNodeId } from '../agent/config-load.ts'
import { tlsFilesOf } from '../agent/config-tls.ts'
import type { RunningAgent, StartAgent } from '../agent/running.ts'
import { type Clock, systemRandom } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { ensurePrivateFolder, writeFileAtomic } from '../base/io/file.ts'
import { createLog } from '../base/io/log.ts'
import { describePortHolder, findPortHolder, type Protocol } from '../base/io/port-holder.ts'
import { makeFilesPrivate } from '../base/io/umask.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { type Call, fail, type Io } from './command.ts'

/** What differs between the verbs that run an agent. */
export interface Served {
  /** Reads the configuration, at the start and at each reload. */
  load(): Promise<ConfigResult>
  /** What tells whether anything that it was read from changed; `others` are more files of it. */
  stampOf(others: readonly string[]): Promise<string>
  loadAgent(config: Config): Promise<StartAgent>
  /** What else is done once it answers, before that is said. */
  begun?(agent: RunningAgent): Promise<void>
  /** What is printed once it answers. */
  textOf(config: SettledConfig, agent: RunningAgent): string
  /** How to run beside whatever holds a port: lines. */
  besideIt(config: Config): readonly string[]
}

/** Runs an agent until it is told to stop; gives the exit code. */
export async function serve(call: Call, served: Served, clock: Clock): Promise<number> {
  const { io } = call
  let certificates: readonly string[] = []
  const load = async (): Promise<ConfigResult> => {
    const read = await served.load()
    if ('config' in read) certificates = tlsFilesOf(read.config.tls)
    return read
  }
  const loaded = await load()
  if ('problems' in loaded) return fail(io, loaded.problems.join('\n'))
  makeFilesPrivate()
  const config = await settleNodeId(loaded.config, systemRandom)
  const log = createLog(config.log)
  for (const warning of loaded.warnings) log.warn(warning)
  const signals = new StopSignals(io, config, clock)
  const startAgent = await served.loadAgent(config)
  let agent: RunningAgent
  try {
    const leave = (): void => signals.ask('a client asked it to leave')
    agent = await startAgent(config, { log, load, leave })
  } catch (error) {
    return fail(io, await faultText(served, config, error))
  }
  io.onSignal('SIGHUP', () => void agent.reload())
  const stamp = (): Promise<string> => served.stampOf(certificates)
  const look = config.autoReload ? watchConfig(stamp, clock, agent) : undefined
  const code = await runUntilStopped(call, served, config, log, { agent, signals })
  look?.clear()
  return code
}

/** Why the agent is to stop, and whether it is to leave the cluster by that. */
interface Asked {
  readonly why: string
  readonly isLeaving: boolean
}

/** npm hands on a Ctrl-C that the terminal sent us already: two that close are one. */
const SAME_SIGNAL_MS = 500

/**
 * What ends the agent. Before it runs nothing was promised to anybody: a signal ends the start at
 * once. They are listened to from the first moment, also where whoever started us ignores them.
 */
class StopSignals {
  #firstMs: number | undefined
  #isRunning = false
  readonly #asked = Promise.withResolvers<Asked>()

  constructor(io: Io, { leaveOn }: Config, clock: Clock) {
    const onSignal = (name: string, isLeaving: boolean): void => {
      const nowMs = clock.monotonic()
      if (!this.#isRunning) io.exit(1)
      if (this.#firstMs !== undefined && nowMs - this.#firstMs > SAME_SIGNAL_MS) io.exit(1)
      this.#firstMs ??= nowMs
      this.ask(isLeaving ? `${name}, which leaves` : name, isLeaving)
    }
    io.onSignal('SIGINT', () => onSignal('SIGINT', leaveOn.interrupt))
    io.onSignal('SIGTERM', () => onSignal('SIGTERM', leaveOn.terminate))
  }

  /** Has the agent stop, and leave the cluster where it is asked to. */
  ask(why: string, isLeaving = false): void {
    this.#asked.resolve({ why, isLeaving })
  }

  /** Resolves with the reason once something asks the agent to stop. */
  asked(): Promise<Asked> {
    this.#isRunning = true
    return this.#asked.promise
  }
}

async function runUntilStopped(
  { io }: Call,
  { textOf, begun }: Served,
  config: SettledConfig,
  log: Log,
  { agent, signals }: { agent: RunningAgent; signals: StopSignals },
): Promise<number> {
  const asked = signals.asked()
  await writePidFile(config.pidFile)
  await begun?.(agent)
  io.print(textOf(config, agent))
  flushCompileCache()
  const { why, isLeaving } = await asked
  log.info('stopping; a second signal ends the process at once', { why })
  await agent.stop(isLeaving)
  if (config.pidFile !== undefined) await rm(config.pidFile, { force: true })
  log.info('stopped')
  return 0
}

/** Reloads when a file changed, once it holds still: many are written in several steps. */
function watchConfig(
  stampOf: () => Promise<string>,
  clock: Clock,
  agent: RunningAgent,
): { clear(): void } {
  let timer: { clear(): void } | undefined
  let isOver = false
  let taken: string | undefined
  let before: string | undefined
  const look = async (): Promise<void> => {
    const stamp = await stampOf()
    taken ??= stamp
    if (stamp !== taken && stamp === before) {
      taken = stamp
      await agent.reload()
    }
    before = stamp
    if (!isOver) timer = clock.after(limits.configLookMs, () => void look())
  }
  void look()
  return {
    clear() {
      isOver = true
      timer?.clear()
    },
  }
}

async function writePidFile(path: string | undefined): Promise<void> {
  if (path === undefined) return
  await ensurePrivateFolder(dirname(path))
  await writeFileAtomic(path, `${process.pid}\n`, { modeBits: 0o644 })
}

/** What went wrong at the start; for a busy port, who holds it and the way out. */
async function faultText(served: Served, config: Config, error: unknown): Promise<string> {
  const busy = busyPortOf(error)
  if (busy === undefined) return `Error: ${messageOf(error)}`
  const holder = await findPortHolder(busy.protocol, busy.port)
  return [
    `Error: port ${busy.port} (${busy.protocol}) is busy: ${describePortHolder(holder)}`,
    ...served.besideIt(config),
  ].join('\n')
}

function busyPortOf(error: unknown): { protocol: Protocol; port: number } | undefined {
  const MAX_CAUSES = 8
  let fault = error as
    | { code?: string; port?: number; syscall?: string; cause?: unknown }
    | undefined
  for (let i = 0; i < MAX_CAUSES && fault !== undefined && fault !== null; i++) {
    if (fault.code === 'EADDRINUSE' && fault.port !== undefined) {
      return { protocol: fault.syscall === 'bind' ? 'udp' : 'tcp', port: fault.port }
    }
    fault = fault.cause as typeof fault
  }
  return undefined
}
