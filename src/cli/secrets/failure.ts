/**
 * The ends of a command that are no work done: a failure with its exit code, and a text that was
 * asked for instead of the request.
 *
 * Owns the exit codes of Vault's tools: 1 for a mistake made here, 2 for what the server said.
 */
import { ClientError } from '../exchange.ts'

/** Ends a command: its text is printed on stderr. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly code: number

  constructor(text: string, code: number) {
    super(text)
    this.code = code
  }
}

/** Ends a command: the text is what was asked for, by `-output-curl-string` and its like. */
export class OutputInstead extends Error {
  override readonly name = 'OutputInstead'
}

/** Begins the text of what a request throws; mistakes made here stay as they are. */
export async function saying<T>(fault: string, work: Promise<T>, code = 2): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof ClientError) throw new Failure(`${fault}: ${error.message}`, code)
    throw error
  }
}
