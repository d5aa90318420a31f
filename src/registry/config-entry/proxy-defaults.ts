/**
 * `proxy-defaults`: how all proxies are to be set up; there is one entry, `global`.
 *
 * Owns its fields and what is wrong with them. Field names and texts are Consul's.
 */
import { access } from '../../base/who.ts'
import { always, bool, free, list, object, part, text } from './field.ts'
import {
  type EntryKind,
  expose,
  meshGateway,
  meta,
  metaProblem,
  proxyProblem,
  transparentProxy,
} from './kind.ts'
import { envoyExtensions } from './service-defaults.ts'

export const PROXY_DEFAULTS_NAME = 'global'

export const proxyDefaults: EntryKind = {
  kind: 'proxy-defaults',
  onlyName: PROXY_DEFAULTS_NAME,
  readAccess: () => [],
  writeAccess: () => [access('write', 'mesh')],
  fields: {
    Config: always(free, null),
    Mode: text,
    TransparentProxy: transparentProxy,
    MutualTLSMode: text,
    MeshGateway: meshGateway,
    Expose: expose,
    AccessLogs: part({
      Enabled: bool,
      DisableListenerLogs: bool,
      Type: text,
      Path: text,
      JSONFormat: text,
      TextFormat: text,
    }),
    EnvoyExtensions: envoyExtensions,
    FailoverPolicy: object({ Mode: text, Regions: list(text) }),
    PrioritizeByLocality: object({ Mode: text }),
    Meta: meta,
  },
  problem(fields) {
    const { Config: config, AccessLogs: logs, FailoverPolicy, PrioritizeByLocality } = fields
    if (config !== null && (typeof config !== 'object' || Array.isArray(config))) {
      return "'Config' expected a map"
    }
    const enterprise = FailoverPolicy ?? PrioritizeByLocality
    return (
      metaProblem(fields.Meta) ??
      (enterprise === undefined
        ? undefined
        : 'locality-aware routing requires Consul Enterprise') ??
      proxyProblem(fields) ??
      accessLogsProblem(logs as AccessLogs)
    )
  },
}

interface AccessLogs {
  readonly Type?: string
  readonly Path?: string
  readonly JSONFormat?: string
  readonly TextFormat?: string
}

function accessLogsProblem(logs: AccessLogs): string | undefined {
  const { Type: type = '', Path: path = '', JSONFormat = '', TextFormat = '' } = logs
  if (!['', 'stdout', 'stderr', 'file'].includes(type)) {
    return `invalid access log type: ${type}`
  }
  if (type === 'file' && path === '')
    return 'path must be specified when using file type access logs'
  if (type !== 'file' && path !== '') return 'path is only valid for file type access logs'
  if (JSONFormat !== '' && TextFormat !== '') {
    return 'cannot specify both access log JSONFormat and TextFormat'
  }
  return undefined
}
