/**
 * A verb of secrets: what all of them do before and after their own work.
 *
 * Owns the counting of arguments, the exit codes (1 for a mistake made here, 2 for what the
 * server said) and the one place where errors are printed.
 */
import type { Call, Command } from '../command.ts'
import { ClientError } from '../exchange.ts'
import { type SecretsClient, secretsClientOf } from './client.ts'
import { Failure, OutputInstead } from './failure.ts'
import { formatOf } from './output.ts'

/** What a verb of secrets is declared with. */
export interface SecretsVerb extends Omit<Command, 'run'> {
  /** How many arguments it takes; undefined for as many as one likes. */
  readonly args: readonly [fewest: number, most: number | undefined]
  /** Whether it asks with a token; on unless told otherwise. */
  readonly withToken?: boolean
  /** Does the work; gives the exit code. Throws Failure, ClientError or OutputInstead. */
  run(call: Call, client: SecretsClient): Promise<number>
}

/** The command of a verb that asks a server. */
export function secretsVerb({ args: [fewest, most], withToken, run, ...rest }: SecretsVerb) {
  return guarded({
    ...rest,
    async run(call) {
      refuseCount(call.args, fewest, most)
      warnOfFlags(call)
      formatOf(call)
      return run(call, await secretsClientOf(call, withToken))
    },
  })
}

/** The command of a verb that asks nobody. */
export function localVerb({ args: [fewest, most], run, ...rest }: SecretsVerb): Command {
  return guarded({
    ...rest,
    async run(call) {
      refuseCount(call.args, fewest, most)
      return run(call, undefined as never)
    },
  })
}

/** Prints what a command throws, and gives the exit code for it. */
function guarded(command: Command): Command {
  return {
    ...command,
    async run(call) {
      try {
        return await command.run(call)
      } catch (error) {
        if (error instanceof OutputInstead) {
          call.io.print(error.message)
          return 0
        }
        if (!(error instanceof Failure) && !(error instanceof ClientError)) throw error
        call.io.printError(error.message)
        return error instanceof Failure ? error.code : 2
      }
    },
  }
}

function refuseCount(args: readonly string[], fewest: number, most: number | undefined): void {
  const got = args.length
  const isMany = most !== undefined && got > most
  if (got >= fewest && !isMany) return
  const range =
    most === fewest
      ? String(fewest)
      : most === undefined
        ? `at least ${fewest}`
        : `${fewest}-${most}`
  const what = isMany ? 'Too many' : 'Not enough'
  throw new Failure(`${what} arguments (expected ${range}, got ${got})`, 1)
}

/** Flags behind arguments are arguments, which nobody means; behind `--` stands a command. */
function warnOfFlags({ args, io }: Call): void {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args
  const flags = own.filter(word => /^--?[a-z]/.test(word))
  if (flags.length === 0) return
  const names = flags.map(word => word.split('=', 1)[0])
  io.printError(
    `Command flags must be provided before positional arguments. These are taken for arguments: ${names.join(', ')}`,
  )
}
