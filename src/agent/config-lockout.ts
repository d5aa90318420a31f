/**
 * The blocks `user_lockout "type" { … }` of the configuration: when who fails to log in is locked
 * out.
 *
 * Owns their keys, which are Vault's, and which methods they may name. What holds for a mount is
 * decided in src/secrets/lockout.
 */
import { blocksOf, type HclObject, type HclValue, isObject } from '../hcl/hcl.ts'
import { type Json, toDurationMs } from '../secrets/field.ts'
import type { Lockout } from '../secrets/lockout/lockout.ts'
import type { Settings } from './config-read.ts'

/** What one block says, for a method or for all. */
export interface LockoutBlock {
  readonly method: string
  readonly values: Partial<Lockout>
}

type Complain = (block: HclObject, field: string, problem: string) => void

const METHODS = ['all', 'approle', 'ldap', 'userpass']

/** Reads what stands behind `user_lockout`; undefined when it is no block with a method. */
export function readLockouts(value: HclValue, complain: Complain): LockoutBlock[] | undefined {
  const found: LockoutBlock[] = []
  for (const named of blocksOf(value) ?? [undefined]) {
    if (named === undefined) return undefined
    for (const [label, given] of Object.entries(named)) {
      const method = label.toLowerCase()
      const blocks = isObject(given) || Array.isArray(given) ? blocksOf(given) : undefined
      if (blocks === undefined) {
        complain(named, label, 'has a method: user_lockout "userpass" { … }')
      } else if (!METHODS.includes(method)) {
        complain(named, label, `must be one of ${METHODS.join(', ')}`)
      } else {
        for (const block of blocks) found.push({ method, values: readBlock(block, complain) })
      }
    }
  }
  return found
}

function readBlock(block: HclObject, complain: Complain): Partial<Lockout> {
  const values: { -readonly [K in keyof Lockout]?: Lockout[K] } = {}
  for (const [field, value] of Object.entries(block)) {
    const said = value as Json
    const timeMs = toDurationMs(said)
    const isTime = timeMs !== undefined && timeMs >= 0
    if (field === 'lockout_threshold') {
      if (/^\d{1,9}$/.test(String(said))) values.thresholdCount = Number(said)
      else complain(block, field, 'must be a whole number')
    } else if (field === 'lockout_duration' || field === 'lockout_counter_reset') {
      if (isTime) values[field === 'lockout_duration' ? 'durationMs' : 'counterResetMs'] = timeMs
      else complain(block, field, 'must be a duration, such as "15m"')
    } else if (field === 'disable_lockout') {
      if (/^(true|false)$/.test(String(said))) values.isDisabled = String(said) === 'true'
      else complain(block, field, 'must be true or false')
    } else complain(block, field, 'unknown key of user_lockout')
  }
  return values
}

/** What the blocks mean together: a later one of a method wins, key by key. */
export function buildLockout(settings: Settings): Readonly<Record<string, Partial<Lockout>>> {
  const byMethod: Record<string, Partial<Lockout>> = {}
  for (const { method, values } of settings.get('user_lockout')) {
    byMethod[method] = { ...byMethod[method], ...values }
  }
  return byMethod
}
