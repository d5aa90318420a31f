/**
 * Where audit records go to: what a kind of device declares, and what it is asked to do.
 *
 * Owns the types and the reading of a device's settings by its declaration. Devices come from the
 * configuration alone and never from a request: whoever could add one could have any file written.
 * Adding a kind is a file under device/ and a line of its list.
 */
import type { Clock } from '../base/clock.ts'
import { parseDurationMs } from '../base/duration.ts'
import { limits } from '../base/limits.ts'
import type { JournalRecord } from '../store/journal.ts'

/** What devices are given to work with. */
export interface DevicePorts {
  readonly clock: Clock
  /** The addresses of a name, at least one. */
  readonly addressesOf: (name: string) => Promise<readonly string[]>
  /** Whether an address may be connected to. */
  readonly mayReach: (address: string) => boolean
  /** Folders that files may be written in, absolute. */
  readonly folders: readonly string[]
}

/** Records on their way, in order. */
export interface Shipment {
  readonly records: readonly JournalRecord[]
  /** The line of each, with its end. */
  readonly lines: readonly Buffer[]
}

/** An open device. It is asked for one thing at a time. */
export interface Device {
  /**
   * Hands over all of a shipment; resolves once the device has it. Rejects with what went wrong;
   * the same records come again then. The signal ends it at whatever point it is.
   */
  write(shipment: Shipment, signal: AbortSignal): Promise<void>
  /** Sees to it that what was handed over outlives a power cut, where that is in our hands. */
  settle?(): Promise<void>
  /** The newest record that it has, where it can tell; undefined where it has none. */
  newest?(): Promise<number | undefined>
  /** Lets go of what may have been replaced; the next write opens it anew. */
  reopen?(): Promise<void>
  /** Lets go of everything. A write may follow, and begins anew. */
  close(): Promise<void>
}

export type FieldValue = string | number | boolean | Readonly<Record<string, string>>

/** A setting of a device. Durations are milliseconds. */
export interface DeviceField {
  readonly kind: 'text' | 'duration' | 'strings'
  readonly doc: string
  readonly isRequired?: boolean
  readonly oneOf?: readonly string[]
  /** Why it is not taken, for settings that others have. */
  readonly refused?: string
}

/** The settings of a device as they were read. */
export type DeviceValues = Readonly<Record<string, FieldValue>>

/** A kind of device. */
export interface DeviceKind {
  readonly type: string
  readonly doc: string
  readonly fields: Readonly<Record<string, DeviceField>>
  /** What is wrong with settings that are each right by themselves. */
  problemOf(values: DeviceValues): string | undefined
  open(values: DeviceValues, ports: DevicePorts): Device
}

/** Declares a kind of device. */
export function defineDevice(kind: DeviceKind): DeviceKind {
  return { ...kind, fields: { ...commonFields, ...kind.fields } }
}

/** What can be said of any device. */
const commonFields: DeviceKind['fields'] = {
  type: { kind: 'text', doc: 'the kind of device', isRequired: true },
  format: { kind: 'text', doc: 'the form of a record', oneOf: ['json'] },
  delivery_guarantee: {
    kind: 'text',
    doc: 'records wait in the journal; see require',
    oneOf: ['best-effort'],
  },
  write_timeout: { kind: 'duration', doc: 'for one write; 10s unless given' },
}

/** A device of the configuration. */
export interface SinkSettings {
  readonly name: string
  readonly type: string
  readonly values: DeviceValues
}

/** The text of a setting; '' where it was not given. */
export function textIn(values: DeviceValues, name: string): string {
  const value = values[name]
  return typeof value === 'string' ? value : ''
}

/** How long one write to it may take. */
export function writeTimeoutMsOf({ values }: Pick<SinkSettings, 'values'>): number {
  const given = values.write_timeout
  return typeof given === 'number' && given > 0 ? given : limits.auditWriteTimeoutMs
}

/** Reads one setting; a text that begins a sentence where it is wrong. */
export function readField(
  { kind, oneOf, refused }: DeviceField,
  value: unknown,
): { readonly value: FieldValue } | { readonly problem: string } {
  if (refused !== undefined) return { problem: refused }
  switch (kind) {
    case 'text':
      if (typeof value !== 'string') return { problem: 'must be a string' }
      return oneOf === undefined || oneOf.includes(value)
        ? { value }
        : { problem: `must be one of ${oneOf.join(', ')}` }
    case 'duration': {
      const durationMs = typeof value === 'string' ? parseDurationMs(value) : undefined
      return durationMs === undefined || durationMs <= 0
        ? { problem: 'must be a duration such as "10s"' }
        : { value: durationMs }
    }
    case 'strings': {
      const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
      const entries = isMap ? Object.entries(value) : [['', undefined]]
      return entries.every(([, each]) => typeof each === 'string')
        ? { value: Object.fromEntries(entries) }
        : { problem: 'must be an object of strings' }
    }
  }
}
