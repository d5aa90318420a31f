/**
 * A disk in memory that keeps, over a power loss, no more than it promised to: batches that were
 * synced. A later sync does not cover an earlier batch, since LevelDB may have begun another log
 * file in between.
 */
import type { DiskOp, OrderedDisk } from '../../src/base/io/level.ts'

interface Written {
  readonly ops: readonly DiskOp[]
  readonly isSynced: boolean
}

const PAGE_ENTRIES = 50

export class ForgetfulDisk {
  #kept: Written[] = []
  #content = new Map<string, Buffer>()
  /** Raised by a power loss: disks that were opened before it are dead. */
  #life = 0

  /** How many batches were written, synced or not. */
  get batches(): number {
    return this.#kept.length
  }

  /** For `openDisk`. */
  readonly open = async (): Promise<OrderedDisk> => {
    const life = this.#life
    const alive = async <T>(work: () => T): Promise<T> => {
      await new Promise(resolve => setImmediate(resolve))
      if (life !== this.#life) return new Promise(() => {}) // Nobody hears an answer any more.
      return work()
    }
    const inRange = (from: Buffer, to: Buffer, content = this.#content): [Buffer, Buffer][] =>
      [...content]
        .map(([key, value]): [Buffer, Buffer] => [Buffer.from(key, 'latin1'), value])
        .filter(([key]) => key.compare(from) >= 0 && key.compare(to) < 0)
        .toSorted(([a], [b]) => a.compare(b))
    const scan = async function* (from: Buffer, to: Buffer, content?: Map<string, Buffer>) {
      const entries = await alive(() => inRange(from, to, content))
      for (let at = 0; at < entries.length; at += PAGE_ENTRIES) {
        yield entries.slice(at, at + PAGE_ENTRIES)
      }
    }
    return {
      get: key => alive(() => this.#content.get(key.toString('latin1'))),
      getMany: keys => alive(() => keys.map(key => this.#content.get(key.toString('latin1')))),
      batch: (ops, { sync }) => alive(() => this.#write({ ops, isSynced: sync })),
      clear: (from, to) =>
        alive(() => {
          const ops = inRange(from, to).map(([key]) => ({ key, value: undefined }))
          if (ops.length > 0) this.#write({ ops, isSynced: false })
        }),
      scan: (from, to) => scan(from, to),
      pin: () => {
        const content = new Map(this.#content)
        return { scan: (from, to) => scan(from, to, content), close: () => alive(() => {}) }
      },
      close: () => alive(() => {}),
    }
  }

  #write(written: Written): void {
    this.#kept.push(written)
    this.#apply(written)
  }

  #apply({ ops }: Written): void {
    for (const { key, value } of ops) {
      if (value === undefined) this.#content.delete(key.toString('latin1'))
      else this.#content.set(key.toString('latin1'), Buffer.from(value))
    }
  }

  /** The power goes: what was not synced is gone, except what `luck` says was written anyway. */
  losePower(luck: () => boolean): void {
    this.#life++
    this.#kept = this.#kept.filter(({ isSynced }) => isSynced || luck())
    this.#content = new Map()
    for (const written of this.#kept) this.#apply(written)
  }
}
