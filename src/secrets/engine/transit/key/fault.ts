/**
 * What is wrong with one piece of work: an item of a batch, or the one of a single request.
 *
 * Owns the value. Told as a refusal where there is one item, beside the others' results where there
 * are several.
 */
export class Fault {
  readonly text: string
  /** Whether it is the server's: 500 and not 400. */
  readonly isInternal: boolean

  constructor(text: string, isInternal = false) {
    this.text = text
    this.isInternal = isInternal
  }
}
