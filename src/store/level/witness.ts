/**
 * The witness: a small file beside the store that remembers how far the store had come.
 *
 * Owns two checksummed slots, written in turn after each sync and before the answers. It is synced
 * only when the store is opened: after a power cut it may be behind the store, never ahead of what
 * was durable. A store that is older than its witness has lost acknowledged writes, however whole
 * it looks.
 */
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type { JournalMark } from '../journal.ts'

const SLOT_SIZE_BYTES = 64
const SLOTS = 2
const MAGIC = 0x47485731

/** How far the audit journal had come; `check` is the begin of the chain there. */
export interface WitnessedJournal {
  readonly sequence: number
  readonly check: Buffer
}

export interface Witnessed {
  readonly revision: number
  readonly chain: Buffer
  readonly journal: WitnessedJournal
}

/** What fits beside revision and chain, and is more than chance can bring about. */
const CHECK_SIZE_BYTES = 12

/** The part of a journal's chain that is witnessed. */
export const checkOf = (chain: Buffer): Buffer => chain.subarray(0, CHECK_SIZE_BYTES)

export class Witness {
  readonly #path: string
  readonly #file: number
  readonly #slot = Buffer.alloc(SLOT_SIZE_BYTES)
  #next = 0
  /** The newest state that was witnessed; undefined for a new or wholly unreadable file. */
  readonly last: Witnessed | undefined

  /** Opens or creates the file, private to this user. Throws the system's error. */
  constructor(path: string) {
    this.#path = path
    this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    const slots = [0, 1].map(index => this.#read(index))
    for (const [index, slot] of slots.entries()) {
      if (slot === undefined) continue
      if (this.last !== undefined && isBefore(slot, this.last)) continue
      this.last = slot
      this.#next = (index + 1) % SLOTS
    }
  }

  #read(index: number): Witnessed | undefined {
    const slot = Buffer.alloc(SLOT_SIZE_BYTES)
    const sizeBytes = readSync(this.#file, slot, 0, SLOT_SIZE_BYTES, index * SLOT_SIZE_BYTES)
    if (sizeBytes < SLOT_SIZE_BYTES || slot.readUInt32BE(0) !== MAGIC) return undefined
    if (crc32(slot.subarray(0, 60)) !== slot.readUInt32BE(60)) return undefined
    return {
      revision: slot.readUIntBE(4, 6),
      chain: Buffer.from(slot.subarray(10, 42)),
      journal: { sequence: slot.readUIntBE(42, 6), check: Buffer.from(slot.subarray(48, 60)) },
    }
  }

  /** Notes a state that is durable. A page-cache write: microseconds. */
  note(revision: number, chain: Buffer, journal: JournalMark): void {
    const slot = this.#slot
    slot.writeUInt32BE(MAGIC, 0)
    slot.writeUIntBE(revision, 4, 6)
    chain.copy(slot, 10)
    slot.writeUIntBE(journal.sequence, 42, 6)
    checkOf(journal.chain).copy(slot, 48)
    slot.writeUInt32BE(crc32(slot.subarray(0, 60)), 60)
    writeSync(this.#file, slot, 0, SLOT_SIZE_BYTES, this.#next * SLOT_SIZE_BYTES)
    this.#next = (this.#next + 1) % SLOTS
  }

  /**
   * Notes a state in both slots, whatever they held, and syncs file and folder: from then on a
   * power cut cannot take the witness away.
   */
  reset(revision: number, chain: Buffer, journal: JournalMark): void {
    this.note(revision, chain, journal)
    this.note(revision, chain, journal)
    fsyncSync(this.#file)
    const folder = openSync(dirname(this.#path), constants.O_RDONLY)
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  }

  close(): void {
    fsyncSync(this.#file)
    closeSync(this.#file)
  }
}

const isBefore = (a: Witnessed, b: Witnessed): boolean =>
  a.revision === b.revision ? a.journal.sequence < b.journal.sequence : a.revision < b.revision
