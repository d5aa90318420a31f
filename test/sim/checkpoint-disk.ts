/**
 * The disk under a server's checkpoint: what a crash, a lost page or an old copy leave of it.
 *
 * Owns time and damage. Nothing here is synced, so a crash may take back whatever was written
 * lately, tear the last batch, or worse; a checkpoint must prove itself whatever it finds.
 */
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import type { DiskOp, OrderedDisk } from '../../src/base/io/level.ts'
import type { CheckpointFolder } from '../../src/store/etcd/checkpoint.ts'
import type { Machine, World } from './world.ts'

type Content = ReadonlyMap<string, Buffer>

/** States that a crash can go back to. */
const KEPT_STATES = 12

export class CheckpointDisk {
  readonly #world: World
  #content: Content = new Map()
  readonly #before: Content[] = []
  #last: readonly DiskOp[] = []
  #isUnreadable = false

  constructor(world: World) {
    this.#world = world
  }

  /** How many records there are. */
  get size(): number {
    return this.#content.size
  }

  /** The folder as a process on a machine has it. */
  on(machine: Machine): CheckpointFolder {
    return {
      open: async () => {
        await this.#takeTime(machine)
        const text = 'its tables are damaged'
        if (this.#isUnreadable) throw new OperatingError(OperatingCode.damaged, text)
        return this.#disk(machine)
      },
      remove: () => {
        this.#isUnreadable = false
        this.#become(new Map(), [])
      },
    }
  }

  #disk(machine: Machine): OrderedDisk {
    return {
      get: async key => {
        await this.#takeTime(machine)
        return this.#content.get(key.toString('latin1'))
      },
      getMany: async keys => {
        await this.#takeTime(machine)
        return keys.map(key => this.#content.get(key.toString('latin1')))
      },
      batch: async ops => {
        await this.#takeTime(machine)
        this.#become(applied(this.#content, ops), ops)
      },
      clear: async (from, to) => {
        await this.#takeTime(machine)
        const keys = this.#between(from, to)
        const ops = keys.map(key => ({ key: Buffer.from(key, 'latin1'), value: undefined }))
        this.#become(applied(this.#content, ops), ops)
      },
      scan: (from, to) => this.#scan(machine, from, to),
      pin: () => this.#disk(machine),
      close: () => this.#takeTime(machine),
    }
  }

  async *#scan(machine: Machine, from: Buffer, to: Buffer): AsyncGenerator<[Buffer, Buffer][]> {
    const content = this.#content
    const keys = this.#between(from, to)
    for (let at = 0; at < keys.length; at += 10) {
      await this.#takeTime(machine)
      yield keys.slice(at, at + 10).map(key => [Buffer.from(key, 'latin1'), content.get(key)!])
    }
  }

  #between(from: Buffer, to: Buffer): string[] {
    const [first, last] = [from.toString('latin1'), to.toString('latin1')]
    return [...this.#content.keys()].filter(key => key >= first && key < last).sort()
  }

  #become(content: Content, ops: readonly DiskOp[]): void {
    this.#before.push(this.#content)
    if (this.#before.length > KEPT_STATES) this.#before.shift()
    this.#content = content
    this.#last = ops
  }

  #takeTime(machine: Machine): Promise<void> {
    return new Promise(resolve => void machine.after(this.#world.between(0.05, 0.5), resolve))
  }

  /** What befalls it when its server is killed, by the seed. Mostly nothing. Says what it was. */
  crash(): string {
    const { draw } = this.#world
    const kind = draw.below(100)
    if (this.#content.size === 0 || kind < 45) return ''
    if (kind < 60 && this.#before.length > 0) {
      this.#content = draw.pick(this.#before)
      return 'is older now'
    }
    if (kind < 72 && this.#before.length > 0) {
      this.#content = applied(
        this.#before.at(-1)!,
        this.#last.filter(() => draw.chance(50)),
      )
      return 'is torn'
    }
    const key = draw.pick([...this.#content.keys()])
    if (kind < 82) {
      const value = Buffer.from(this.#content.get(key)!)
      if (value.length > 0) value[draw.below(value.length)]! ^= 1 << draw.below(8)
      this.#content = new Map(this.#content).set(key, value)
      return 'has a bit turned'
    }
    if (kind < 90) {
      this.#content = applied(this.#content, [
        { key: Buffer.from(key, 'latin1'), value: undefined },
      ])
      return 'lacks a record'
    }
    if (kind < 95) {
      this.#isUnreadable = true
      return 'cannot be read'
    }
    this.#content = new Map()
    return 'is gone'
  }
}

function applied(content: Content, ops: readonly DiskOp[]): Content {
  const after = new Map(content)
  for (const { key, value } of ops) {
    if (value === undefined) after.delete(key.toString('latin1'))
    else after.set(key.toString('latin1'), value)
  }
  return after
}
