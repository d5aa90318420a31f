/**
 * The target of the sink `nginx`: the file of upstreams.
 *
 * Owns the comments between which each block stands, and keeps the blocks of the file for services
 * that are held.
 */
import { createHash } from 'node:crypto'
import { messageOf } from '../../../base/errors.ts'
import type { CheckedFile } from '../checked-file.run.ts'
import { type Applied, type Plan, type SinkTarget, TargetRefusal, type Wanted } from '../declare.ts'
import type { NginxBlock, NginxWanted } from './render.ts'

const HEADER = '# Written by gatehouse: what is changed here by hand is lost.\n'

export class NginxTarget implements SinkTarget<NginxWanted> {
  readonly #file: CheckedFile

  constructor(file: CheckedFile) {
    this.#file = file
  }

  async plan(wanted: Wanted<NginxWanted>): Promise<Plan | TargetRefusal> {
    try {
      return await this.#file.plan(await this.#text(wanted))
    } catch (error) {
      return new TargetRefusal(messageOf(error), true)
    }
  }

  async apply(wanted: Wanted<NginxWanted>, signal: AbortSignal): Promise<Applied | TargetRefusal> {
    try {
      return await this.#file.apply(await this.#text(wanted), signal)
    } catch (error) {
      return new TargetRefusal(messageOf(error), true)
    }
  }

  async close(): Promise<void> {}

  async #text({ what }: Wanted<NginxWanted>): Promise<string> {
    const isAnyHeld = what.blocks.some(({ isHeld }) => isHeld)
    const current = isAnyHeld ? await this.#file.current() : undefined
    return fileText(what.blocks, current ?? '')
  }
}

/** The text of the file; blocks that are held are those of the current one, where it has them. */
export function fileText(blocks: readonly NginxBlock[], current: string): string {
  const kept = new Map<string, string>()
  for (const [, name = '', sum, text = ''] of current.matchAll(BLOCK)) {
    // Whatever somebody wrote in between is not ours to keep.
    if (sum === sumOf(text)) kept.set(name, text)
  }
  const parts = blocks.map(({ name, text, isHeld }) => {
    const own = isHeld ? (kept.get(name) ?? text) : text
    return `# begin ${name} ${sumOf(own)}\n${own}# end ${name}\n`
  })
  return HEADER + parts.join('')
}

const BLOCK = /^# begin (\S+) ([0-9a-f]{16})\n(.*?)^# end \1$/gms

const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)
