/**
 * The verb `agent`: runs a server until it is told to stop.
 *
 * Owns what is printed at the start, what signals do (SIGHUP reloads, a first SIGINT or SIGTERM
 * drains, a second ends at once), and the words for a port that is busy. Composing the agent is not
 * done here.
 */
import { rm } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { dirname } from 'node:path'
import type { Config, SettledConfig } from '../agent/config.ts'
import { configStamp, loadConfig, settleNodeId, sourceFlags } from '../agent/config-load.ts'
import { agentFlags } from '../agent/config-read.ts'
import { tlsFilesOf } from '../agent/config-tls.ts'
import type { FaceAddress, RunningAgent, StartAgent } from '../agent/running.ts'
import { type Clock, systemClock, systemRandom } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { ensurePrivateFolder, writeFileAtomic } from '../base/io/file.ts'
import { createLog } from '../base/io/log.ts'
import { describePortHolder, findPortHolder, type Protocol } from '../base/io/port-holder.ts'
import { makeFilesPrivate } from '../base/io/umask.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { productVersion } from '../base/version.ts'
import { type Call, type Command, type Flag, fail, type Io } from './command.ts'

/** The command, which gets the agent's code only once the configuration is right. */
export function agentCommand(
  loadAgent: (config: Config) => Promise<StartAgent>,
  clock = systemClock,
): Command {
  return {
    usage: '[options]',
    flags: [...sourceFlagList, ...agentFlags],
    examples: ['-dev', '-config-dir=conf.d', '-data-dir=data -port-offset=10000'],
    async run(call) {
      const { args, flags, io } = call
      if (args.length > 0) return fail(io, `Unexpected argument: ${args[0]}`)
      let certificates: readonly string[] = []
      const load = async (): ReturnType<typeof loadConfig> => {
        const read = await loadConfig(flags.given)
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
      const startAgent = await loadAgent(config)
      let agent: RunningAgent
      try {
        const leave = (): void => signals.ask('a client asked it to leave')
        agent = await startAgent(config, { log, load, leave })
      } catch (error) {
        return fail(io, await faultText(call, config, error))
      }
      io.onSignal('SIGHUP', () => void agent.reload())
      const stamp = (): Promise<string> => configStamp(flags.given, certificates)
      const look = config.autoReload ? watchConfig(stamp, clock, agent) : undefined
      const code = await runUntilStopped(call, config, log, { agent, signals })
      look?.clear()
      return code
    },
  }
}

const sourceFlagList: readonly Flag[] = Object.entries(sourceFlags).map(([name, doc]) => ({
  name,
  kind: name === 'dev' ? 'switch' : name === 'config-format' ? 'text' : 'list',
  doc,
}))

/** Why the agent is to stop, and whether it is to leave the cluster by that. */
interface Asked {
  readonly why: string
  readonly isLeaving: boolean
}

/** npm hands on a Ctrl-C that the terminal sent us already: two that close are one. */
const SAME_SIGNAL_MS = 500

/** Why the agent is to stop. */
interface Asked {
  readonly why: string
  readonly isLeaving: boolean
}

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
  call: Call,
  config: SettledConfig,
  log: Log,
  { agent, signals }: { agent: RunningAgent; signals: StopSignals },
): Promise<number> {
  const { io } = call
  const asked = signals.asked()
  await writePidFile(config.pidFile)
  io.print(startText(call, config, agent))
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

function startText(call: Call, config: SettledConfig, agent: RunningAgent): string {
  const { addresses } = agent
  const rows = [
    ['node', `${config.nodeName} (${config.nodeId})`],
    ['datacenter', config.datacenter],
    ['data', dataText(config)],
    ...addresses.map(({ face, host, port }) => {
      if (face === 'dns') return ['DNS', `${hostText(host)}:${port} (UDP and TCP)`]
      if (face === 'rpc') return ['RPC', `${hostText(host)}:${port} (between agents)`]
      if (face === 'secrets')
        return ['secrets', `${secretsScheme(config)}://${hostText(host)}:${port}`]
      return [face.toUpperCase(), port === 0 ? host : `${face}://${hostText(host)}:${port}`]
    }),
  ]
  if (agent.rootToken !== undefined) rows.push(['root token', agent.rootToken])
  const lines = rows.map(([name = '', value]) => `  ${name.padEnd(12)}${value}`)
  const hints = hintLines(call, config, agent)
  return [`gatehouse v${productVersion}`, ...lines, '', ...hints, '', 'Ready.'].join('\n')
}

const secretsScheme = ({ tls }: Config): string =>
  tls.secrets.certFile === undefined ? 'http' : 'https'

function dataText({ dataDir, store }: SettledConfig): string {
  switch (store.engine) {
    case 'memory':
      return 'in memory only: gone when this process ends'
    case 'level':
      return `${dataDir} (survives a restart)`
    case 'etcd':
      if (store.member.isManaged) return `${dataDir}, in a member of etcd (survives a restart)`
      return `in etcd at ${store.etcd.endpoints.map(originOf).join(', ')} (survives a restart)`
  }
}

/** An endpoint without what may be secret in it. */
const originOf = (endpoint: string): string => new URL(endpoint).origin

/** What to try first, ready to be copied. */
function hintLines(call: Call, config: Config, agent: RunningAgent): string[] {
  const { addresses } = agent
  const http = addresses.find(({ face, port }) => face === 'http' && port !== 0)
  const https = addresses.find(({ face, port }) => face === 'https' && port !== 0)
  const file = addresses.find(({ face, port }) => face === 'http' && port === 0)
  const dns = addresses.find(({ face }) => face === 'dns')
  const lines: string[] = []
  if (agent.awaitsBootstrap) lines.push(...bootstrapLines(call, config, addresses))
  const curl = hasToken(config) ? 'curl -H "X-Consul-Token: $CONSUL_HTTP_TOKEN"' : 'curl'
  if (http !== undefined) {
    lines.push(`  ${curl} http://${hostText(http.host)}:${http.port}/v1/catalog/services`)
  }
  if (http === undefined && https !== undefined) {
    const at = `https://localhost:${https.port}`
    lines.push(`  ${curl} --cacert ${config.domain}-agent-ca.pem ${at}/v1/catalog/services`)
  } else if (http === undefined && file !== undefined) {
    const path = file.host.replace(/^unix:\/\//, '')
    lines.push(`  ${curl} --unix-socket ${path} http://localhost/v1/catalog/services`)
  }
  if (dns !== undefined) {
    lines.push(`  dig @${dns.host} -p ${dns.port} consul.service.${config.domain}`)
  }
  return lines
}

/** Whether those without a token are told nothing. */
const hasToken = ({ acl }: Config): boolean => acl.enabled && acl.defaultPolicy === 'deny'

/** How to make the first token, where it is not there yet. */
function bootstrapLines(
  { program, io }: Call,
  config: Config,
  addresses: readonly FaceAddress[],
): string[] {
  const DEFAULT_PORT = 8500
  const at =
    addresses.find(({ face, port }) => face === 'http' && port !== 0) ??
    addresses.find(({ face, port }) => face === 'http' && port === 0) ??
    addresses.find(({ face }) => face === 'https')
  if (at === undefined) return []
  const url = at.port === 0 ? at.host : `${at.face}://${hostText(at.host)}:${at.port}`
  const isDefault = at.face === 'http' && at.port === DEFAULT_PORT && at.host === '127.0.0.1'
  const authority = at.face === 'https' ? ` -ca-file=${config.domain}-agent-ca.pem` : ''
  const words = isDefault ? '' : ` -http-addr=${url}${authority}`
  const name = io.environment.npm_lifecycle_event === 'start' ? 'bin/gatehouse' : program
  return [
    '  # Nobody has a token yet. The first one may do everything; its SecretID is for',
    '  # CONSUL_HTTP_TOKEN, or for a file that CONSUL_HTTP_TOKEN_FILE names:',
    `  ${name} acl bootstrap${words}`,
  ]
}

const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** What went wrong at the start; for a busy port, who holds it and the way out. */
async function faultText({ program, io }: Call, config: Config, error: unknown): Promise<string> {
  const busy = busyPortOf(error)
  if (busy === undefined) return `Error: ${messageOf(error)}`
  const holder = await findPortHolder(busy.protocol, busy.port)
  const OFFSET = 10_000
  const isNpmStart = io.environment.npm_lifecycle_event === 'start'
  const command = isNpmStart ? 'npm start --' : `${program} agent`
  return [
    `Error: port ${busy.port} (${busy.protocol}) is busy: ${describePortHolder(holder)}`,
    'To run beside it, with every port moved:',
    '',
    `  ${command} -port-offset=${config.portOffset + OFFSET}`,
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
