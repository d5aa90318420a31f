/**
 * Secrets that a person types, or that stdin brings.
 *
 * Owns when it is asked for: never where `-non-interactive` says so. What was typed is never
 * shown, and never named in an error.
 */
import { messageOf } from '../../base/errors.ts'
import type { Call } from '../command.ts'
import type { DataSource } from './data.ts'
import { Failure } from './failure.ts'

/** Where the data of a call may come from. */
export function sourceOf({ flags, io }: Call): DataSource {
  return { io, mayRead: !flags.isOn('non-interactive') }
}

/** Asks on the terminal, without showing what is typed. Throws Failure. */
export async function askSecret({ flags, io }: Call, what: string, instead: string) {
  if (flags.isOn('non-interactive')) {
    throw new Failure(`Refusing to ask with -non-interactive specified; ${instead}`, 1)
  }
  try {
    return (await io.askSecret(`${what} (will be hidden): `)).trim()
  } catch (error) {
    throw new Failure(
      `cannot ask for the ${what.toLowerCase()}: ${messageOf(error)}; ${instead}`,
      1,
    )
  }
}

/** A secret from an argument: itself, or `-` for stdin; asked for when there is none. */
export async function secretFrom(call: Call, argument: string | undefined, what: string) {
  if (argument === undefined || argument === '')
    return askSecret(call, what, 'pass - to read stdin')
  return argument === '-' ? readStdin(call) : argument.trim()
}

/** All of stdin, without white space around it. Throws Failure. */
export async function readStdin({ flags, io }: Call): Promise<string> {
  if (flags.isOn('non-interactive')) {
    throw new Failure('Refusing to read from stdin with -non-interactive specified', 1)
  }
  return (await io.readStdin()).toString('utf8').trim()
}

/** A share of the unseal key, with the nonce of the attempt that it is meant for. */
export async function shareFrom(
  call: Call,
  title: string,
  nonceNow: string,
): Promise<{ readonly key: string; readonly nonce: string }> {
  const argument = call.args[0] ?? ''
  if (argument === '') {
    call.io.printError(`${title} nonce: ${nonceNow}`)
    return { key: await askSecret(call, 'Unseal Key', 'pass - and -nonce'), nonce: nonceNow }
  }
  const nonce = call.flags.text('nonce')
  if (!nonce) throw new Failure('Missing nonce value: specify it via the -nonce flag', 1)
  return { key: argument === '-' ? await readStdin(call) : argument.trim(), nonce }
}
