/**
 * The verb `agent`: runs a server until it is told to stop.
 *
 * Owns its flags and what is printed at the start. How it starts and ends is serve.ts's work.
 */
import type { Config, SettledConfig } from '../agent/config.ts'
import { configStamp, loadConfig, sourceFlags } from '../agent/config-load.ts'
import { agentFlags } from '../agent/config-read.ts'
import type { FaceAddress, RunningAgent, StartAgent } from '../agent/running.ts'
import { systemClock } from '../base/clock.ts'
import { productVersion } from '../base/version.ts'
import { type Call, type Command, type Flag, fail } from './command.ts'
import { serve } from './serve.ts'

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
      const served = {
        load: () => loadConfig(flags.given),
        stampOf: (others: readonly string[]) => configStamp(flags.given, others),
        loadAgent,
        textOf: (config: SettledConfig, agent: RunningAgent) => startText(call, config, agent),
        besideIt: (config: Config) => besideIt(call, config),
      }
      return serve(call, served, clock)
    },
  }
}

const sourceFlagList: readonly Flag[] = Object.entries(sourceFlags).map(([name, doc]) => ({
  name,
  kind: name === 'dev' ? 'switch' : name === 'config-format' ? 'text' : 'list',
  doc,
}))

/** How to run it beside whatever holds its port. */
function besideIt({ program, io }: Call, config: Config): string[] {
  const OFFSET = 10_000
  const isNpmStart = io.environment.npm_lifecycle_event === 'start'
  const command = isNpmStart ? 'npm start --' : `${program} agent`
  return [
    'To run beside it, with every port moved:',
    '',
    `  ${command} -port-offset=${config.portOffset + OFFSET}`,
  ]
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
      if (face === 'grpc' || face === 'grpc_tls') {
        const name = face === 'grpc' ? 'gRPC' : 'gRPC, TLS'
        return [name, port === 0 ? host : `${hostText(host)}:${port}`]
      }
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

/** A host as it stands in an address. */
export const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host)
