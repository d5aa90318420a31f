/**
 * The verb `lock`: runs a command while a lock is held.
 *
 * Owns the command's life: it is started only under the lock and ended when the lock is lost or we
 * are told to stop, first kindly, then by force; only then is the lock given back. Its environment
 * has CONSUL_LOCK_HELD=true and, for a lock with one holder, GATEHOUSE_FENCING_INDEX.
 */
import { posix } from 'node:path'
import { formatDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import type { Child, ChildEnd } from '../base/io/child.ts'
import { limits } from '../base/limits.ts'
import { endSignals, faultOf, passedSignals, shellFlag, startWords } from './child.ts'
import { asking, nodeNameOf, queryFlags } from './client.ts'
import { type Call, type Flags, fail } from './command.ts'
import { acquire, type Held, LOCK_NAME } from './lock-hold.ts'

const MONITOR_RETRIES = 3
const CHILD_FAILED_CODE = 2

export const lock = asking('Error querying Consul agent', {
  usage: '[options] PREFIX COMMAND...',
  flags: [
    { name: 'child-exit-code', kind: 'switch', doc: 'exit with 2 when the command fails' },
    {
      name: 'monitor-retry',
      kind: 'number',
      doc: 'failures of the agent to sit out (3), 1 s each',
    },
    { name: 'n', kind: 'number', doc: 'holders at a time (1)' },
    { name: 'name', kind: 'text', doc: 'name of the session' },
    { name: 'pass-stdin', kind: 'switch', doc: 'let the command read our stdin' },
    { name: 'timeout', kind: 'duration', doc: 'how long to try; for ever unless given' },
    { name: 'try', kind: 'duration', doc: 'older name of -timeout' },
    { name: 'verbose', kind: 'switch', doc: 'say what happens' },
    shellFlag,
    ...queryFlags,
  ],
  examples: ['jobs/backup ./backup.sh', '-n=3 -timeout=10s -child-exit-code jobs/index ./index'],
  async run(call, client) {
    const { flags, io } = call
    const mistake = mistakeOf(call)
    if (mistake !== undefined) return fail(io, mistake)
    await nodeNameOf(client)
    const options = optionsOf(call)
    say(call, setUpText(options))
    say(call, 'Attempting lock acquisition')
    const stop = new AbortController()
    for (const name of endSignals) io.onSignal(name, () => stop.abort())
    let held: Held | undefined
    try {
      held = await acquire(client, io.clock, options, stop.signal)
    } catch (error) {
      return fail(io, `Lock acquisition failed: ${messageOf(error)}`)
    }
    if (held === undefined) {
      return fail(io, 'Shutdown triggered or timeout during lock acquisition')
    }
    let code = 0
    if (stop.signal.aborted) io.printError('Shutdown triggered during lock acquisition')
    else if (!(await runChild(call, held, stop.signal))) code = CHILD_FAILED_CODE
    return (await giveBack(call, held)) ?? (flags.isOn('child-exit-code') ? code : 0)
  },
})

function mistakeOf({ flags, args }: Call): string | undefined {
  if ((flags.number('n') ?? 1) <= 0) return 'Lock holder limit must be positive'
  if (args.length < 2) return 'Key prefix and child command must be specified'
  if ((timeoutOf(flags) ?? 0) < 0) return 'Timeout must be positive'
  const isNegative = (flags.number('monitor-retry') ?? 0) < 0
  return isNegative ? "Number for 'monitor-retry' must be >= 0" : undefined
}

const timeoutOf = (flags: Flags): number | undefined =>
  flags.durationMs('timeout') ?? flags.durationMs('try')

function optionsOf({ flags, args }: Call) {
  const [first = '', ...words] = args
  const prefix = first.replace(/^\//, '')
  return {
    prefix,
    limit: flags.number('n') ?? 1,
    sessionName: flags.text('name') || `Consul lock for '${words.join(' ')}' at '${prefix}'`,
    timeoutMs: timeoutOf(flags) || undefined,
    monitorRetries: flags.number('monitor-retry') ?? MONITOR_RETRIES,
  }
}

const setUpText = ({ prefix, limit }: { prefix: string; limit: number }): string =>
  limit === 1
    ? `Setting up lock at path: ${posix.join(prefix, LOCK_NAME)}`
    : `Setting up semaphore (limit ${limit}) at prefix: ${prefix}`

function say({ flags, io }: Call, text: string): void {
  if (flags.isOn('verbose')) io.print(text)
}

/** Runs the command to its end, or ends it; whether it went well. */
async function runChild(call: Call, held: Held, stop: AbortSignal): Promise<boolean> {
  const { flags, args, io } = call
  const stdin = flags.isOn('pass-stdin') ? 'ours' : 'none'
  const { fencingIndex } = held
  const added = {
    CONSUL_LOCK_HELD: 'true',
    ...(fencingIndex === undefined ? {} : { GATEHOUSE_FENCING_INDEX: fencingIndex }),
  }
  say(call, 'Starting handler')
  let child: Child
  try {
    child = await startWords(call, args.slice(1), added, stdin)
  } catch (error) {
    io.printError(`Error starting handler: ${messageOf(error)}`)
    return false
  }
  for (const name of passedSignals) io.onSignal(name, () => child.signal(name))
  const stopped = new Promise<'stopped'>(resolve => {
    stop.addEventListener('abort', () => resolve('stopped'))
  })
  const lost = held.lost.then(() => 'lost' as const)
  const first = await Promise.race([child.ended, lost, stopped])
  if (first === 'stopped' || first === 'lost') {
    say(call, `${first === 'lost' ? 'Lock lost' : 'Shutdown triggered'}, killing child`)
    await endChild(call, child)
    return true
  }
  const fault = faultOf(first)
  if (fault !== undefined) io.printError(`Error running handler: ${fault}`)
  say(call, 'Child terminated, releasing lock')
  return fault === undefined
}

async function endChild(call: Call, child: Child): Promise<void> {
  say(call, `Terminating child pid ${child.pid}`)
  child.signal('SIGTERM')
  const grace = Promise.withResolvers<undefined>()
  const timer = call.io.clock.after(limits.lockGraceMs, () => grace.resolve(undefined))
  const end: ChildEnd | undefined = await Promise.race([child.ended, grace.promise])
  timer.clear()
  if (end === undefined) {
    say(call, `Child did not exit after grace period of ${formatDuration(limits.lockGraceMs)}`)
    say(call, `Killing child pid ${child.pid}`)
  } else say(call, 'Child terminated')
  // What it started is in its group, and may outlive it.
  child.signal('SIGKILL')
  await child.ended
}

/** An exit code when the lock could not be given back. */
async function giveBack(call: Call, held: Held): Promise<number | undefined> {
  try {
    const outcome = await held.release()
    say(call, outcome === 'removed' ? 'Cleanup succeeded' : 'Cleanup aborted, lock in use')
    return undefined
  } catch (error) {
    return fail(call.io, `Lock release failed: ${messageOf(error)}`)
  }
}
