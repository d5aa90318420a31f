/**
 * Stores on a test's etcd, and wrappers of the connection that add faults.
 */
import type { Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../src/base/clock.ts'
import { connectEtcd, type Etcd, type WatchListener } from '../../../src/store/etcd/client.ts'
import { type EtcdOptions, type EtcdStore, openEtcdStore } from '../../../src/store/etcd/engine.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { testTables } from '../../conformance/store.ts'
import type { Member } from './member.ts'

/** Opens a store that is closed at the end of the test. */
export async function openOn(
  t: Test,
  member: Member,
  options: Pick<EtcdOptions, 'serverId' | 'prefix'> & Partial<EtcdOptions>,
): Promise<EtcdStore> {
  const store = await openEtcdStore({
    endpoints: [member.endpoint],
    tables: withSystemTables(testTables),
    clock: systemClock,
    random: systemRandom,
    ...options,
  })
  t.teardown(() => store.close())
  return store
}

/** A connection of the test's own, to look and to meddle. */
export async function openRaw(t: Test, member: Member): Promise<Etcd> {
  const etcd = await connectEtcd([member.endpoint])
  t.teardown(() => etcd.close())
  return etcd
}

/** A connection with some of its calls replaced. */
export function wrapped(etcd: Etcd, faults: Partial<Etcd>): Etcd {
  return {
    warnings: etcd.warnings,
    range: request => etcd.range(request),
    txn: request => etcd.txn(request),
    compact: revision => etcd.compact(revision),
    grant: ttlS => etcd.grant(ttlS),
    keepAlive: lease => etcd.keepAlive(lease),
    revoke: lease => etcd.revoke(lease),
    watch: (request, listener) => etcd.watch(request, listener),
    usage: () => etcd.usage(),
    close: () => etcd.close(),
    ...faults,
  }
}

/** A watch that a test can cut; it stays cut until it is mended. */
export class WatchCutter {
  #isCut = false
  #end: (() => void) | undefined
  /** Sees every response before the store does. */
  onResponse: WatchListener['onResponse'] = () => {}

  cut(): void {
    this.#isCut = true
    this.#end?.()
  }

  mend(): void {
    this.#isCut = false
  }

  /** For the store's `connect`. */
  readonly connect = async (endpoints: readonly string[]): Promise<Etcd> => {
    const etcd = await connectEtcd(endpoints)
    return wrapped(etcd, {
      watch: (request, listener) => {
        if (this.#isCut) {
          setImmediate(() => listener.onEnd(undefined))
          return { cancel: () => {} }
        }
        const watch = etcd.watch(request, {
          onResponse: response => {
            this.onResponse(response)
            listener.onResponse(response)
          },
          onEnd: error => listener.onEnd(error),
        })
        this.#end = () => {
          watch.cancel()
          listener.onEnd(undefined)
        }
        return watch
      },
    })
  }
}

/** A clock on which everything takes a fiftieth of the time, for bounds of many seconds. */
export const hurriedClock: Clock = {
  monotonic: () => (systemClock.monotonic() * 50) as ReturnType<Clock['monotonic']>,
  wall: systemClock.wall,
  after: (delayMs, run) => systemClock.after(delayMs / 50, run),
}

/** Polls until something is so. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let polls = 0; polls < 1_000; polls++) {
    if (await condition()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error('the condition did not come true')
}
