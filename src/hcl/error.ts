/**
 * The one error of this folder.
 *
 * Owns its form: message, line and column. The message names what was expected and never quotes
 * the text, which may hold a secret.
 */

/** A text that is not HCL or JSON. `line` and `column` count from 1. */
export class HclError extends Error {
  override readonly name = 'HclError'
  readonly line: number
  readonly column: number

  constructor(reason: string, line: number, column: number) {
    super(`line ${line}, column ${column}: ${reason}`)
    this.line = line
    this.column = column
  }
}
