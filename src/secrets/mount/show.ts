/**
 * Mounts as clients are told of them.
 *
 * Owns the words of Vault's API for a mount, and their shapes. Pure.
 */

import { vaultVersion } from '../../base/version.ts'
import { toSeconds } from '../field.ts'
import { anyObject, bool, int, nullable, object, optional, text, texts } from '../shape.ts'
import type { Draft } from '../storage.ts'
import { showConfig, showLockout } from './config.ts'
import type { MountRow } from './mount.ts'
import { ttlsOf } from './ttl.ts'

const configParts = {
  force_no_cache: bool,
  audit_non_hmac_request_keys: optional(texts),
  audit_non_hmac_response_keys: optional(texts),
  listing_visibility: optional(text),
  passthrough_request_headers: optional(texts),
  allowed_response_headers: optional(texts),
  token_type: optional(text),
  default_lease_ttl: int,
  max_lease_ttl: int,
}

export const mountParts = {
  type: text,
  description: text,
  accessor: text,
  local: bool,
  seal_wrap: bool,
  external_entropy_access: bool,
  options: nullable(anyObject),
  uuid: text,
  plugin_version: text,
  running_plugin_version: text,
  running_sha256: text,
  deprecation_status: optional(text),
  config: object({ ...configParts, user_lockout_config: optional(anyObject) }),
}
export const mountShape = object(mountParts)

/** What every engine of this server says that it is, in the form of a build of Vault's. */
export const ENGINE_VERSION = `v${vaultVersion}+builtin.vault`

/** A mount, whole. */
export function showMount(mount: MountRow): Record<string, unknown> {
  const { config, kind } = mount
  const lockout = showLockout(config)
  return {
    type: mount.type,
    description: mount.description,
    accessor: mount.accessor,
    local: mount.local,
    seal_wrap: mount.sealWrap,
    external_entropy_access: mount.externalEntropyAccess,
    options: mount.options,
    uuid: mount.uuid,
    plugin_version: '',
    running_plugin_version: ENGINE_VERSION,
    running_sha256: '',
    deprecation_status: 'supported',
    config: {
      default_lease_ttl: toSeconds(config.defaultLeaseTtlMs),
      max_lease_ttl: toSeconds(config.maxLeaseTtlMs),
      ...showConfig(kind, config),
      ...(config.userLockout === undefined ? {} : { user_lockout_config: lockout }),
    },
  }
}

export const tuneShape = object({
  ...configParts,
  description: text,
  external_entropy_access: optional(bool),
  options: optional(anyObject),
  user_lockout_counter_reset_duration: optional(int),
  user_lockout_threshold: optional(int),
  user_lockout_duration: optional(int),
  user_lockout_disable: optional(bool),
})

/** What tuning shows: the times are those that hold. */
export function showTuning(draft: Draft, mount: MountRow): Record<string, unknown> {
  const { defaultMs, maxMs } = ttlsOf(draft, mount)
  const { options } = mount
  return {
    description: mount.description,
    default_lease_ttl: toSeconds(defaultMs),
    max_lease_ttl: toSeconds(maxMs),
    ...(mount.externalEntropyAccess ? { external_entropy_access: true } : {}),
    ...showConfig(mount.kind, mount.config),
    ...showLockout(mount.config),
    ...(options !== null && Object.keys(options).length > 0 ? { options } : {}),
  }
}
