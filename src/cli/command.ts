/**
 * What a verb of the command line is.
 *
 * Owns the declaration of a command and of its flags, and what a command may touch: it prints,
 * reads and exits only through the `Io` that it is given.
 */
import type { Clock, Random } from '../base/clock.ts'
import { parseDurationMs } from '../base/duration.ts'
import type { Child, ChildOptions } from '../base/io/child.ts'

/** A flag, written with one dash: `-name=value`, `-name value`, or `-name` for a switch. */
export interface Flag {
  readonly name: string
  /** A `list` may be given several times; of the others the last one counts. */
  readonly kind: 'switch' | 'text' | 'number' | 'duration' | 'list'
  /** All values that it may have; any of its kind unless given. */
  readonly values?: readonly string[]
  readonly doc: string
}

/** A flag as it was given. */
export interface GivenFlag {
  readonly name: string
  readonly value: string | boolean
}

export type Signal = 'SIGINT' | 'SIGTERM' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2'

/** The process as a command sees it. */
export interface Io {
  /** Prints on stdout, with a line end. */
  print(text: string | Uint8Array): void
  /** Prints on stdout as it stands. */
  write(bytes: Uint8Array): void
  /** Prints on stderr, with a line end. */
  printError(text: string): void
  readonly environment: Readonly<Record<string, string | undefined>>
  /** All of stdin, within `limits.cliBodySizeBytes`. */
  readStdin(): Promise<Buffer>
  /** Whether a person sees what is printed on stdout. */
  readonly isTerminal: boolean
  /** What a person types on the terminal, unseen; rejects where there is none. */
  askSecret(prompt: string): Promise<string>
  /** Calls `run` at every such signal, instead of what it does by itself; gives the end of that. */
  onSignal(signal: Signal, run: () => void): () => void
  /** Starts a program of the user's; see base/io/child.ts. */
  start(words: readonly string[], options: ChildOptions): Promise<Child>
  /** Its timers hold the process open. */
  readonly clock: Clock
  readonly random: Random
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
  /** What follows the verb in calls that its help shows; a test parses each. */
  readonly examples: readonly string[]
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

  /** The last value of a number; undefined when it was not given. */
  number(name: string): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : Number(text)
  }

  /** The last value of a duration; undefined when it was not given. */
  durationMs(name: string): number | undefined {
    return parseDurationMs(this.text(name) ?? '')
  }

  /** Whether a switch is on. */
  isOn(name: string, byDefault = false): boolean {
    const given = this.given.findLast(flag => flag.name === name)
    return given === undefined ? byDefault : given.value === true
  }

  list(name: string): string[] {
    return this.given.flatMap(flag =>
      flag.name === name && typeof flag.value === 'string' ? [flag.value] : [],
    )
  }
}

/** A command and what it is for; it is imported only when it is called. */
export interface Verb {
  readonly summary: string
  readonly load: () => Promise<Command>
}

/** Prints an error and gives the exit code of a failed command. */
export function fail(io: Io, text: string): number {
  io.printError(text)
  return 1
}

/** The mistake of too many or too few arguments, in Consul's words; undefined when they fit. */
export function countMistake(args: readonly string[], expected: number): string | undefined {
  if (args.length === expected) return undefined
  const what = args.length > expected ? 'Too many' : 'Not enough'
  return `${what} arguments (expected ${expected}, got ${args.length})`
}
