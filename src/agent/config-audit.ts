/**
 * The stanza `audit` of the configuration: what is recorded, how much of it is kept, and the
 * devices that it goes to.
 *
 * Owns the reading of `sink` blocks, whose fields each kind of device declares, and what the
 * stanza's keys mean together. Devices are named here and nowhere else.
 */
import type { AuditSettings } from '../audit/audit.run.ts'
import { deviceKinds } from '../audit/device/mod.ts'
import { type FieldValue, readField, type SinkSettings } from '../audit/device.ts'
import { limits } from '../base/limits.ts'
import { blocksOf, type HclObject, type HclValue, isObject } from '../hcl/hcl.ts'
import type { Settings } from './config-read.ts'

/** Tells of a mistake in a field of a block. */
type Complain = (block: HclObject, field: string, problem: string) => void

/** What the stanza says, as the room takes it, and the folders that files may be in. */
export interface AuditConfig extends AuditSettings {
  readonly folders: readonly string[]
}

/** What the keys of the stanza mean together. */
export function buildAudit(
  settings: Settings,
  { isAclOn, dataDir }: { isAclOn: boolean; dataDir: string | undefined },
): AuditConfig {
  const sinks = settings.get('audit.sink')
  const require = settings.get('audit.require')
  const unshippedMb = settings.get('audit.unshipped_max_size_mb')
  const enabled = settings.isSet('audit.enabled') ? settings.get('audit.enabled') : isAclOn
  if (require > sinks.length) {
    settings.complain('audit.require', `there are only ${sinks.length} sinks`)
  }
  if (sinks.length > limits.auditSinks) {
    settings.complain('audit.sink', `there are more than ${limits.auditSinks}`)
  }
  const names = new Set(sinks.map(({ name }) => name))
  if (names.size < sinks.length) settings.complain('audit.sink', 'each name stands once')
  if (!enabled && sinks.length > 0 && settings.isSet('audit.enabled') === false) {
    settings.complain('audit.sink', 'audit.enabled says whether anything is recorded for them')
  }
  const own = dataDir === undefined ? [] : [dataDir]
  const allowed = settings.get('audit.allowed_folders')
  if (!allowed.every(folder => folder.startsWith('/'))) {
    settings.complain('audit.allowed_folders', 'each must be an absolute path')
  }
  return {
    enabled,
    reads: settings.get('audit.reads'),
    require,
    maxSizeBytes: settings.get('audit.max_size_mb') * MIB,
    retentionMs: settings.get('audit.retention_time'),
    unshippedSizeBytes: unshippedMb < 0 ? -1 : unshippedMb * MIB,
    sinks,
    folders: [...own, ...allowed],
  }
}

const MIB = 1_048_576

/** Reads what stands behind `sink`: blocks with a name; undefined when it is nothing like that. */
export function readSinks(value: HclValue, complain: Complain): SinkSettings[] | undefined {
  const sinks: SinkSettings[] = []
  for (const named of blocksOf(value) ?? [undefined]) {
    if (named === undefined) return undefined
    for (const [name, given] of Object.entries(named)) {
      const blocks = isObject(given) || Array.isArray(given) ? blocksOf(given) : undefined
      if (blocks === undefined) {
        complain(named, name, 'a sink has a name: sink "name" { … }')
        continue
      }
      for (const block of blocks) {
        const sink = readSink(name, block, (field, problem) => complain(block, field, problem))
        if (sink !== undefined) sinks.push(sink)
      }
    }
  }
  return sinks
}

function readSink(
  name: string,
  block: HclObject,
  complain: (field: string, problem: string) => void,
): SinkSettings | undefined {
  const kind = deviceKinds.find(({ type }) => type === block.type)
  if (kind === undefined) {
    complain('type', `must be one of ${deviceKinds.map(({ type }) => type).join(', ')}`)
    return undefined
  }
  let isRight = true
  const wrong = (field: string, problem: string): void => {
    isRight = false
    complain(field, problem)
  }
  const values: Record<string, FieldValue> = {}
  for (const [field, value] of Object.entries(block)) {
    const declared = Object.hasOwn(kind.fields, field) ? kind.fields[field] : undefined
    if (value === null) continue
    if (declared === undefined) {
      wrong(field, `unknown key of a sink of type ${kind.type}`)
      continue
    }
    // One block of strings, as HCL gives it.
    const one = Array.isArray(value) && value.length === 1 ? value[0] : value
    const read = readField(declared, declared.kind === 'strings' ? one : value)
    if ('problem' in read) wrong(field, read.problem)
    else values[field] = read.value
  }
  for (const [field, { isRequired }] of Object.entries(kind.fields)) {
    if (isRequired === true && !Object.hasOwn(block, field)) wrong(field, 'is missing')
  }
  const problem = isRight ? kind.problemOf(values) : undefined
  if (problem !== undefined) wrong('type', problem)
  return isRight ? { name, type: kind.type, values } : undefined
}
