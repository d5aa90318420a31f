/**
 * What the tests of the audit room share: requests, settings, and a journal in memory that can
 * fail or stall.
 */

import type { AuditPorts, AuditSettings } from '../../src/audit/audit.run.ts'
import type { DevicePorts, Shipment } from '../../src/audit/device.ts'
import { lineOf } from '../../src/audit/line.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { Caller, everybody, nothingUnmet, type RequestFacts, type Who } from '../../src/base/who.ts'
import {
  JOURNAL_START,
  type JournalMark,
  type JournalRecord,
  sealRecord,
} from '../../src/store/journal.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import type { Store } from '../../src/store/store.ts'
import { testTables } from '../conformance/store.ts'

export const SERVER = '0f3c7a52-1111-4222-8333-444455556666'

/** A request of somebody. */
export function caller(facts: Partial<RequestFacts> = {}, who: Who = everybody): Caller {
  return new Caller(who, {
    id: 'r-1',
    operation: 'PUT /v1/kv/{key}',
    name: 'a/b',
    query: '',
    remote: '127.0.0.1',
    body: undefined,
    bodySizeBytes: 5,
    overrides: false,
    isRenewal: false,
    recorded: false,
    ...nothingUnmet,
    ...facts,
  })
}

export const devicePorts: DevicePorts = {
  clock: systemClock,
  addressesOf: async name => {
    if (name !== 'localhost') throw new Error(`no such host: ${name}`)
    return ['127.0.0.1']
  },
  mayReach: () => true,
  folders: [],
}

export const settings: AuditSettings = {
  enabled: true,
  reads: false,
  require: 0,
  maxSizeBytes: 67_108_864,
  retentionMs: 2_592_000_000,
  unshippedSizeBytes: 1_073_741_824,
  sinks: [],
}

export const memoryStore = (): Store =>
  openMemoryStore({
    tables: withSystemTables(testTables),
    clock: systemClock,
    random: systemRandom,
  })

/** Ports of an audit room on a store's journal. */
export function portsOn(store: Store, more: Partial<AuditPorts> = {}): AuditPorts {
  return {
    ...devicePorts,
    journal: store.journal,
    random: systemRandom,
    log: silentLog,
    metrics: new Metrics(systemClock),
    server: SERVER,
    dataDir: undefined,
    ...more,
  }
}

/** A shipment of records after a place. */
export function shipment(count: number, after: JournalMark = JOURNAL_START): Shipment {
  const records: JournalRecord[] = []
  let mark = after
  for (let i = 0; i < count; i++) {
    const body = Buffer.from(JSON.stringify({ server: SERVER, i: mark.sequence + 1 }))
    const record = sealRecord(body, mark, systemClock.wall())
    records.push(record)
    mark = record
  }
  return { records, lines: records.map(lineOf) }
}

/** A signal that ends nothing. */
export const never = (): AbortSignal => new AbortController().signal
