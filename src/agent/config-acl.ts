/**
 * Access control in the configuration: the `acl` stanza and its older flat keys.
 *
 * Owns what the keys mean together. Pure.
 */
import type { Settings } from './config-read.ts'
import type { KindTokens } from './tokens.ts'

export interface AclConfig {
  readonly enabled: boolean
  readonly defaultPolicy: 'allow' | 'deny'
  /** What holds while no server can be asked, on agents that are none. */
  readonly downPolicy: string
  /** How long an agent that is no server goes by what servers told it of a token. */
  readonly tokenTtlMs: number
  readonly keyListPolicy: boolean
  /** Whether tokens that are set by the API are kept over a restart. */
  readonly keepsTokens: boolean
  /** A token that may do everything, made at the first start; '' for none. */
  readonly initialManagement: string
  readonly tokens: KindTokens
}

/** The settings of access control. */
export function buildAcl(settings: Settings): AclConfig {
  const deny = (text: string): 'allow' | 'deny' =>
    text.toLowerCase() === 'deny' ? 'deny' : 'allow'
  const either = (path: TokenPath, old: TokenPath): string =>
    settings.isSet(path) ? settings.get(path) : settings.get(old)
  const tokens: KindTokens = {
    default: either('acl.tokens.default', 'acl_token'),
    agent: either('acl.tokens.agent', 'acl_agent_token'),
    agent_recovery: either('acl.tokens.agent_recovery', 'acl.tokens.agent_master'),
    replication: either('acl.tokens.replication', 'acl_replication_token'),
    config_file_service_registration: settings.get('acl.tokens.config_file_service_registration'),
    dns: settings.get('acl.tokens.dns'),
  }
  return {
    enabled: settings.get('acl.enabled'),
    defaultPolicy: deny(either('acl.default_policy', 'acl_default_policy')),
    downPolicy: either('acl.down_policy', 'acl_down_policy').toLowerCase(),
    tokenTtlMs: settings.get('acl.token_ttl'),
    keyListPolicy:
      settings.get('acl.enable_key_list_policy') || settings.get('acl_enable_key_list_policy'),
    keepsTokens: settings.get('acl.enable_token_persistence'),
    initialManagement: either('acl.tokens.initial_management', 'acl.tokens.master'),
    tokens,
  }
}

type TokenPath =
  | `acl.tokens.${'default' | 'agent' | 'agent_recovery' | 'agent_master' | 'replication' | 'initial_management' | 'master'}`
  | 'acl.default_policy'
  | 'acl.down_policy'
  | `acl_${'token' | 'agent_token' | 'replication_token' | 'default_policy' | 'down_policy'}`
