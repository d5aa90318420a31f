/**
 * What a verb of the command line is.
 *
 * Owns the declaration of a command and of its flags, and what a command may touch: it prints,
 * reads and exits only through the `Io` that it is given.
 */

/** A flag, written with one dash: `-name=value`, `-name value`, or `-name` for a switch. */
export interface Flag {
  readonly name: string
  /** A `list` may be given several times; of the others the last one counts. */
  readonly kind: 'switch' | 'text' | 'number' | 'list'
  readonly doc: string
}

/** A flag as it was given. */
export interface GivenFlag {
  readonly name: string
  readonly value: string | boolean
}

/** The process as a command sees it. */
export interface Io {
  /** Prints on stdout, with a line end. */
  print(text: string | Uint8Array): void
  /** Prints on stderr, with a line end. */
  printError(text: string): void
  readonly environment: Readonly<Record<string, string | undefined>>
  /** All of stdin, within `limits.cliBodySizeBytes`. */
  readStdin(): Promise<Buffer>
  /** Calls `run` at every such signal, instead of what the signal does by itself. */
  onSignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', run: () => void): void
  /** Ends the process at once. */
  exit(code: number): void
}

/** One call of a command. */
export interface Call {
  /** The name that the program was called by. */
  readonly program: string
  readonly flags: Flags
  readonly args: readonly string[]
  readonly io: Io
}

export interface Command {
  /** What follows the verb, for its help. */
  readonly usage: string
  readonly flags: readonly Flag[]
  /** Does the work; gives the exit code. What it throws is printed as `Error: …`, code 1. */
  run(call: Call): Promise<number>
}

/** The flags of one call. */
export class Flags {
  /** All of them, in the order of the command line. */
  readonly given: readonly GivenFlag[]

  constructor(given: readonly GivenFlag[]) {
    this.given = given
  }

  /** The last value of a flag; undefined when it was not given. */
  text(name: string): string | undefined {
    return this.list(name).at(-1)
  }

  /** Whether a switch is on. */
  isOn(name: string): boolean {
    return this.given.findLast(flag => flag.name === name)?.value === true
  }

  list(name: string): string[] {
    return this.given.flatMap(flag =>
      flag.name === name && typeof flag.value === 'string' ? [flag.value] : [],
    )
  }
}

/** Prints an error and gives the exit code of a failed command. */
export function fail(io: Io, text: string): number {
  io.printError(text)
  return 1
}
