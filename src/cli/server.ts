/**
 * The verb `server`: runs a server of secrets by a configuration in Vault's form, or one to try
 * things out.
 *
 * Owns its flags, which are Vault's, and what it prints: tools look for `Root Token:`,
 * `Unseal Key:` and `Api Address:`. What the keys of files mean is src/agent/vault's work; how a
 * server starts and ends is serve.ts's.
 */
import type { Config, SettledConfig } from '../agent/config.ts'
import type { ConfigFlag } from '../agent/config-read.ts'
import type { RunningAgent, StartAgent } from '../agent/running.ts'
import { loadServerConfig } from '../agent/vault/load.ts'
import { type DevStart, variableOf } from '../agent/vault/translate.ts'
import { systemClock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { productVersion, vaultVersion } from '../base/version.ts'
import { hostText } from './agent.ts'
import { type Call, type Command, type Flag, fail } from './command.ts'
import { keepToken } from './secrets/token-file.ts'
import { serve } from './serve.ts'

const on = (name: string, doc: string): Flag => ({ name, kind: 'switch', doc })
const text = (name: string, doc: string): Flag => ({ name, kind: 'text', doc })

/** The flags that are served. */
export const serverFlags: readonly Flag[] = [
  { name: 'config', kind: 'list', doc: 'read this file, or a folder; may be repeated' },
  on('dev', 'a server to try things out: in memory, initialised and unsealed'),
  text('dev-root-token-id', 'the first token with -dev; also VAULT_DEV_ROOT_TOKEN_ID'),
  text('dev-listen-address', 'host:port with -dev; also VAULT_DEV_LISTEN_ADDRESS'),
  on('dev-no-store-token', 'do not write the first token of -dev to ~/.vault-token'),
  text('log-level', 'trace, debug, info, warn or error; also VAULT_LOG_LEVEL'),
  text('log-format', 'standard or json; also VAULT_LOG_FORMAT'),
  text('log-file', 'log into this file instead of stderr'),
  text('log-rotate-bytes', 'a larger log file is renamed'),
  text('log-rotate-duration', 'an older log file is renamed'),
  text('log-rotate-max-files', 'old log files kept; 0 is all, -1 none'),
]

/** Flags of Vault's that come later or change nothing, each with what is said of it. */
export const laterServerFlags: Readonly<Record<string, string>> = {
  'dev-tls': 'TLS of -dev; use -config with a certificate',
  'dev-tls-cert-dir': 'TLS of -dev',
  'dev-tls-san': 'TLS of -dev',
  'dev-plugin-dir': 'plugins',
  'dev-ha': 'several servers by -dev',
  'dev-three-node': 'several servers by -dev',
  'dev-kv-v1': 'another engine at secret/',
  'dev-no-kv': 'no engine at secret/',
  'dev-skip-init': 'a -dev that is not initialised',
  recovery: 'recovery mode',
  experiment: 'experiments',
  'exit-on-core-shutdown': 'an end of the process without a signal',
}

const SWITCHES = ['dev-tls', 'dev-ha', 'dev-three-node', 'dev-kv-v1', 'dev-no-kv', 'dev-skip-init']

/** The command, which gets the server's code only once the configuration is right. */
export function serverCommand(
  loadAgent: (config: Config) => Promise<StartAgent>,
  clock = systemClock,
): Command {
  return {
    usage: '[options]',
    flags: [
      ...serverFlags,
      ...Object.entries(laterServerFlags).map(([name, what]): Flag => {
        const isSwitch = [...SWITCHES, 'recovery', 'exit-on-core-shutdown'].includes(name)
        return { name, kind: isSwitch ? 'switch' : 'list', doc: `not served yet (${what})` }
      }),
    ],
    examples: ['-dev', '-dev -dev-root-token-id=root', '-config=/etc/vault.d'],
    async run(call) {
      const { args, flags, io } = call
      if (args.length > 0) return fail(io, `Unexpected argument: ${args[0]}`)
      const later = flags.given.find(
        ({ name, value }) => Object.hasOwn(laterServerFlags, name) && value !== false,
      )
      if (later !== undefined) {
        return fail(io, `not served yet: -${later.name} (${laterServerFlags[later.name]})`)
      }
      const paths = flags.list('config')
      const dev = devOf(call)
      if (dev === undefined && paths.length === 0) {
        return fail(io, 'Must specify at least one config path using -config')
      }
      const ours = flagsOfOurs(call)
      if ('problem' in ours) return fail(io, ours.problem)
      const { environment } = io
      const kept: { problem?: string } = {}
      const served = {
        load: () => loadServerConfig({ paths, dev, flags: ours.flags, environment }),
        stampOf: async () => '',
        loadAgent,
        async begun({ rootToken }: RunningAgent) {
          if (dev === undefined || rootToken === undefined) return
          if (flags.isOn('dev-no-store-token')) return
          await keepToken(io, rootToken).catch((error: unknown) => {
            kept.problem = messageOf(error)
          })
        },
        textOf: (config: SettledConfig, agent: RunningAgent) =>
          startText(call, config, agent, kept.problem),
        besideIt: () => ['Another -dev-listen-address, or address of the listener, is free.'],
      }
      return serve(call, served, clock)
    },
  }
}

/** What -dev came with, in flags or variables; undefined without it. */
function devOf({ flags, io: { environment } }: Call): DevStart | undefined {
  if (!flags.isOn('dev')) return undefined
  const either = (flag: string, name: string): string | undefined =>
    flags.text(flag) || variableOf(environment, [name])
  return {
    rootToken: either('dev-root-token-id', 'VAULT_DEV_ROOT_TOKEN_ID'),
    listenAddress: either('dev-listen-address', 'VAULT_DEV_LISTEN_ADDRESS'),
  }
}

const SAME_FLAGS = [
  ...['log-level', 'log-file', 'log-rotate-bytes', 'log-rotate-duration', 'log-rotate-max-files'],
]

/** The flags of ours that stand for those of the log. */
function flagsOfOurs({ flags }: Call): { flags: ConfigFlag[] } | { problem: string } {
  const same = flags.given.filter(({ name }) => SAME_FLAGS.includes(name))
  const format = flags.text('log-format')
  if (format === undefined) return { flags: same }
  if (format !== 'json' && format !== 'standard') {
    return { problem: '-log-format: must be standard or json' }
  }
  return { flags: [...same, { name: 'log-json', value: format === 'json' }] }
}

function startText(
  { program }: Call,
  config: SettledConfig,
  agent: RunningAgent,
  keepProblem: string | undefined,
): string {
  const { tls, secrets, store, dataDir } = config
  const scheme = tls.secrets.certFile === undefined ? 'http' : 'https'
  const listeners = agent.addresses.filter(({ face }) => face === 'secrets')
  const [first] = listeners
  const at = first === undefined ? '' : `${scheme}://${hostText(first.host)}:${first.port}`
  const rows = [
    ['Api Address', secrets.apiAddress ?? at],
    ...listeners.map(({ host, port }, i) => [
      `Listener ${i + 1}`,
      `tcp (addr: "${hostText(host)}:${port}", tls: "${scheme === 'http' ? 'disabled' : 'enabled'}")`,
    ]),
    ['Log Level', config.log.level],
    ['Storage', store.engine === 'memory' ? 'in memory' : `${store.engine} in ${dataDir}`],
    ['Version', `gatehouse v${productVersion}, Vault v${vaultVersion} on the wire`],
  ]
  const KEY_WIDTH_CHARS = 20
  const lines = rows.map(([name = '', value]) => `${name.padStart(KEY_WIDTH_CHARS)}: ${value}`)
  return [
    '==> gatehouse serves secrets:',
    '',
    ...lines,
    '',
    ...devLines(program, at, agent, keepProblem),
    '==> Ready. Log lines follow.',
  ].join('\n')
}

/** What a server tells that initialised itself. */
function devLines(
  program: string,
  at: string,
  { rootToken, unsealKey }: RunningAgent,
  keepProblem: string | undefined,
): string[] {
  if (rootToken === undefined) return []
  return [
    'This server keeps everything in memory and has its key beside it: never for real secrets.',
    'To use it from another terminal:',
    '',
    `    export VAULT_ADDR='${at}'`,
    `    ${program === 'gatehouse' ? 'gatehouse vault' : program} status`,
    '',
    ...(unsealKey === undefined ? [] : [`Unseal Key: ${unsealKey}`]),
    `Root Token: ${rootToken}`,
    ...(keepProblem === undefined
      ? []
      : [`(it was not written to ~/.vault-token: ${keepProblem})`]),
    '',
  ]
}
