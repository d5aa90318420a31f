/**
 * The key/value store: entries read and written, and prefixes followed.
 *
 * Owns the form in which entries are shown. A write whose end is not known is never repeated: it
 * fails with `mayHaveHappened`.
 */
import { kvApi, type WireKvEntry } from './api.ts'
import { GatehouseError } from './errors.ts'
import type { CallOptions, Servers } from './servers.ts'

/** One entry. Indexes grow with each change, over all keys. */
export interface KvEntry {
  readonly key: string
  readonly value: Buffer
  /** An unsigned number of 64 bits that belongs to the programs that use the key. */
  readonly flags: bigint
  /** The session that holds the key as a lock; empty for none. */
  readonly session: string
  /** How often the key was taken as a lock. */
  readonly lockIndex: number
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface KvWriteOptions extends Pick<CallOptions, 'timeoutMs' | 'signal'> {
  readonly flags?: bigint
}

export type KvCallOptions = Pick<CallOptions, 'timeoutMs' | 'signal'>

/** An entry as it came. */
export const kvEntryOf = (wire: WireKvEntry): KvEntry => ({
  key: wire.key,
  value: wire.value,
  flags: BigInt(wire.flags === '' ? 0 : wire.flags),
  session: wire.session,
  lockIndex: wire.lockIndex,
  createIndex: wire.createIndex,
  modifyIndex: wire.modifyIndex,
})

/** Keys and values. */
export class Kv {
  readonly #servers: Servers

  constructor(servers: Servers) {
    this.#servers = servers
  }

  /** The entry as it is now: whatever was acknowledged before is seen. Undefined for none. */
  async get(key: string, options: KvCallOptions = {}): Promise<KvEntry | undefined> {
    const { entry } = await this.#servers.call(kvApi.get, { key }, { ...options, repeatable: true })
    return entry ? kvEntryOf(entry) : undefined
  }

  /** All entries whose keys begin with `prefix`, in the order of their keys. */
  async list(prefix: string, options: KvCallOptions = {}): Promise<KvEntry[]> {
    const entries: KvEntry[] = []
    for (let pageToken = ''; ; ) {
      const asked = { prefix, pageSize: 0, pageToken }
      const page = await this.#servers.call(kvApi.list, asked, { ...options, repeatable: true })
      for (const entry of page.entries) entries.push(kvEntryOf(entry))
      if (page.nextPageToken === '') return entries
      pageToken = page.nextPageToken
    }
  }

  /** Sets an entry, whatever was there. Gives its new modify index. */
  async put(
    key: string,
    value: string | Uint8Array,
    options: KvWriteOptions = {},
  ): Promise<number> {
    const { done, modifyIndex } = await this.#put(key, value, undefined, options)
    if (!done) throw new GatehouseError('ABORTED', `${key} was not set`)
    return modifyIndex
  }

  /**
   * Sets an entry only if its modify index is `modifyIndex`; 0: only if there is none. Gives the
   * new modify index, or undefined where the condition did not hold.
   */
  async cas(
    key: string,
    value: string | Uint8Array,
    modifyIndex: number,
    options: KvWriteOptions = {},
  ): Promise<number | undefined> {
    const answer = await this.#put(key, value, modifyIndex, options)
    return answer.done ? answer.modifyIndex : undefined
  }

  /**
   * Deletes an entry. With `cas` only if its modify index is that; false where it is not. To delete
   * what is not there is no error.
   */
  async delete(key: string, options: KvCallOptions & { cas?: number } = {}): Promise<boolean> {
    const { cas, ...rest } = options
    const asked = cas === undefined ? { key } : { key, cas }
    return (await this.#servers.call(kvApi.delete, asked, rest)).done
  }

  #put(
    key: string,
    value: string | Uint8Array,
    cas: number | undefined,
    { flags = 0n, ...options }: KvWriteOptions,
  ) {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    const asked = { key, value: bytes, flags: `${flags}`, ...(cas === undefined ? {} : { cas }) }
    return this.#servers.call(kvApi.put, asked, options)
  }
}
