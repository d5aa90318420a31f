/**
 * How ACME is set up on a mount: `config/acme` (Vault's PKI API).
 *
 * Owns its row and its path. Pure.
 */
import { isIP } from 'node:net'
import { DAY_MS } from '../../../../base/duration.ts'
import { Refusal } from '../../../../base/errors.ts'
import { parseNetwork } from '../../../../base/networks.ts'
import { type Call, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { bool, dur, list, str, toSeconds } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import type { Storage } from '../../../storage.ts'
import type { AcmePorts } from './ports.ts'

const eabPolicies = ['not-required', 'new-account-required', 'always-required'] as const
type EabPolicy = (typeof eabPolicies)[number]

export interface AcmeConfig {
  readonly isEnabled: boolean
  readonly allowedIssuers: readonly string[]
  readonly allowedRoles: readonly string[]
  readonly takesRoleUsages: boolean
  /** `forbid`, `sign-verbatim`, or `role:` and a name. */
  readonly directoryPolicy: string
  /** `host` or `host:port`; '' for this machine's own. */
  readonly dnsResolver: string
  readonly eabPolicy: EabPolicy
  readonly maxTtlMs: number
  /** Where challenges may be looked for, and where not. */
  readonly permittedRanges: readonly string[]
  readonly excludedRanges: readonly string[]
}

const MAX_TTL_MS = 90 * DAY_MS

const INITIAL: AcmeConfig = {
  isEnabled: false,
  allowedIssuers: ['*'],
  allowedRoles: ['*'],
  takesRoleUsages: false,
  directoryPolicy: 'sign-verbatim',
  dnsResolver: '',
  eabPolicy: 'not-required',
  maxTtlMs: MAX_TTL_MS,
  permittedRanges: [],
  excludedRanges: [],
}

const KEY = 'config/acme'

export const acmeConfigOf = (storage: Storage): AcmeConfig =>
  storage.kept<AcmeConfig>(KEY) ?? INITIAL

const fields = {
  enabled: bool('Whether certificates are given by ACME.'),
  allowed_issuers: list('Issuers that directories may name; * for all.'),
  allowed_roles: list('Roles that directories may name; * for all.'),
  allow_role_ext_key_usage: bool('Whether extended usages of roles are given, not servers’ alone.'),
  default_directory_policy: str(
    'What a directory without a role does: forbid, sign-verbatim, or role:<name>.',
  ),
  dns_resolver: str('The DNS server that challenges are looked up at; this machine’s when empty.'),
  eab_policy: str(
    'Who needs an external account: not-required, new-account-required or always-required.',
  ),
  max_ttl: dur('How long what is issued may hold.'),
  challenge_permitted_ip_ranges: list('The only ranges in which challenges are looked for.'),
  challenge_excluded_ip_ranges: list('Ranges in which challenges are not looked for.'),
}

const answer = shape.object({
  enabled: shape.bool,
  allowed_issuers: shape.texts,
  allowed_roles: shape.texts,
  allow_role_ext_key_usage: shape.bool,
  default_directory_policy: shape.text,
  dns_resolver: shape.text,
  eab_policy: shape.text,
  max_ttl: shape.int,
  challenge_permitted_ip_ranges: shape.texts,
  challenge_excluded_ip_ranges: shape.texts,
})

/** The path; the base of URLs must be known before ACME is switched on. */
export const acmeConfigPath = (ports: AcmePorts, hasBase: (call: Call) => boolean): PathSpec =>
  path({
    pattern: KEY,
    help: {
      synopsis: 'How certificates are given by ACME (RFC 8555).',
      description: 'Directories are at acme/directory, of roles at roles/<name>/acme/directory.',
    },
    fields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads the settings.',
        answer,
        run: ({ storage }) => ({ data: shown(acmeConfigOf(storage)) }),
      },
      update: {
        summary: 'Changes the settings that are said.',
        answer,
        run: call => change(call, ports, hasBase(call as unknown as Call)),
        examples: [{ enabled: true }],
      },
    },
  })

const shown = (config: AcmeConfig) => ({
  enabled: config.isEnabled,
  allowed_issuers: config.allowedIssuers,
  allowed_roles: config.allowedRoles,
  allow_role_ext_key_usage: config.takesRoleUsages,
  default_directory_policy: config.directoryPolicy,
  dns_resolver: config.dnsResolver,
  eab_policy: config.eabPolicy,
  max_ttl: toSeconds(config.maxTtlMs),
  challenge_permitted_ip_ranges: config.permittedRanges,
  challenge_excluded_ip_ranges: config.excludedRanges,
})

function change(
  { storage, fields: said }: Call<typeof fields>,
  { needsExternalAccount }: AcmePorts,
  hasBase: boolean,
): Outcome {
  const before = acmeConfigOf(storage)
  const after: AcmeConfig = {
    isEnabled: said.enabled ?? before.isEnabled,
    allowedIssuers: said.allowed_issuers ?? before.allowedIssuers,
    allowedRoles: said.allowed_roles ?? before.allowedRoles,
    takesRoleUsages: said.allow_role_ext_key_usage ?? before.takesRoleUsages,
    directoryPolicy: said.default_directory_policy ?? before.directoryPolicy,
    dnsResolver: said.dns_resolver ?? before.dnsResolver,
    eabPolicy: (said.eab_policy as EabPolicy | undefined) ?? before.eabPolicy,
    maxTtlMs: said.max_ttl ?? before.maxTtlMs,
    permittedRanges: said.challenge_permitted_ip_ranges ?? before.permittedRanges,
    excludedRanges: said.challenge_excluded_ip_ranges ?? before.excludedRanges,
  }
  const fault = faultOf(after, needsExternalAccount, hasBase)
  if (fault !== undefined) return new Refusal(fault.startsWith('not served') ? 501 : 400, fault)
  storage.put(KEY, after)
  return { data: shown(after) }
}

function faultOf(
  config: AcmeConfig,
  needsExternalAccount: boolean,
  hasBase: boolean,
): string | undefined {
  const { directoryPolicy, eabPolicy, dnsResolver, allowedIssuers, allowedRoles } = config
  if (/^(external-policy|sign-verbatim-unsafe)/.test(directoryPolicy)) {
    return `not served yet: the directory policy ${directoryPolicy.split(':')[0]}`
  }
  if (!/^(forbid|sign-verbatim|role:.+)$/.test(directoryPolicy)) {
    return 'default_directory_policy must be forbid, sign-verbatim or role:<role name>'
  }
  const [, role] = /^role:(.+)$/.exec(directoryPolicy) ?? []
  if (role !== undefined && !allows(allowedRoles, role)) {
    return 'the default directory policy names a role that allowed_roles does not have'
  }
  if (!eabPolicies.includes(eabPolicy)) return `invalid eab_policy: ${eabPolicies.join(', ')}`
  if (allowedIssuers.length === 0) return 'allowed_issuers must be specified and non-empty'
  if (allowedRoles.length === 0) return 'allowed_roles must be specified and non-empty'
  if (dnsResolver !== '' && resolverAddress(dnsResolver) === undefined) {
    return 'dns_resolver must be an address, with or without a port'
  }
  const ranges = [...config.permittedRanges, ...config.excludedRanges]
  if (ranges.some(range => parseNetwork(range) === undefined)) {
    return 'ranges of challenges must be such as 10.0.0.0/8'
  }
  if (config.maxTtlMs <= 0) return 'max_ttl must be greater than zero'
  if (!config.isEnabled) return undefined
  if (!hasBase) {
    return "ACME configuration requires the local cluster's 'path' to be set: write config/cluster"
  }
  return needsExternalAccount && eabPolicy === 'not-required'
    ? 'this server gives certificates by ACME to external accounts alone: set another eab_policy'
    : undefined
}

/** Whether a list allows a name. */
export const allows = (list: readonly string[], name: string): boolean =>
  list.includes('*') || list.includes(name)

/** The address and the port of a DNS server: `address`, `address:port` or `[v6]:port`. */
export function resolverAddress(text: string): { host: string; port: number } | undefined {
  const DNS_PORT = 53
  if (isIP(text) !== 0) return { host: text, port: DNS_PORT }
  const [, named = '', digits] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  const host = named.replace(/^\[|\]$/g, '')
  const port = Number(digits)
  return isIP(host) === 0 || port > 65_535 ? undefined : { host, port }
}
