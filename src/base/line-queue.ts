/**
 * Lines on their way to one slow reader: kept in their order, bounded, and counted when lost.
 *
 * Owns the bound. Who puts lines in never waits; who takes them out waits for the next ones.
 */
import { limits } from './limits.ts'

export class LineQueue {
  #lines: string[] = []
  #dropped = 0
  #wake: (() => void) | undefined

  /** Adds a line; beyond the bound it is counted and dropped. */
  push(line: string): void {
    if (this.#lines.length >= limits.monitorLines) this.#dropped++
    else this.#lines.push(line)
    this.#wake?.()
  }

  /**
   * All lines that came, a piece at a time, until the signal; `lost` says what stands for dropped
   * ones.
   */
  async *pieces(signal: AbortSignal, lost: (lines: number) => string): AsyncIterable<string> {
    while (!signal.aborted) {
      if (this.#lines.length === 0 && this.#dropped === 0) await this.#more(signal)
      const tail = this.#dropped > 0 ? lost(this.#dropped) : ''
      const piece = this.#lines.join('') + tail
      this.#lines = []
      this.#dropped = 0
      if (piece !== '') yield piece
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        this.#wake = undefined
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#wake = done
      signal.addEventListener('abort', done)
    })
  }
}
