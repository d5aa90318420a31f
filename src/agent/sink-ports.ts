/**
 * What sinks are given to reach the world: addresses and who may be connected to, programs, and the
 * variables that name secrets. The same for a server and for `gatehouse sync`.
 *
 * Owns the process that runs the programs of sinks; `close` ends what runs in it.
 */
import type { Clock, Random } from '../base/clock.ts'
import { createResolver } from '../base/io/dns2.ts'
import { limits } from '../base/limits.ts'
import { targetGuard } from '../checks/guard.ts'
import { outputText, type ProgramEnd, programEnvironment } from '../checks/program.ts'
import { ProgramHost } from '../checks/program-host.run.ts'
import type { SinkPorts, SinkProgram, SinkProgramEnd } from '../feed/sink/declare.ts'

/** The world as sinks see it. */
export interface SinkWorld {
  /** The ports of one task. */
  portsOf(task: string): SinkPorts
  /** Ends the programs that run; resolves when nothing of them is left. */
  close(): Promise<void>
}

/** Makes the ports. `allow` are the ranges that may be connected to; see checks/guard.ts. */
export function sinkWorld({
  clock,
  random,
  allow,
  environment,
}: {
  readonly clock: Clock
  readonly random: Random
  readonly allow: readonly string[]
  /** The variables of this process; programs see few of them. */
  readonly environment: Readonly<Record<string, string | undefined>>
}): SinkWorld {
  const resolver = createResolver({ clock })
  const mayReach = targetGuard(allow)
  const host = new ProgramHost(programEnvironment(environment))
  return {
    portsOf: task => ({
      ...{ task, clock, random, mayReach },
      addressesOf: name => resolver.addressesOf(name),
      run: (program, signal) => runProgram(host, clock, program, signal),
      variable: name => (Object.hasOwn(environment, name) ? environment[name] : undefined),
    }),
    close: () => host.close(),
  }
}

function runProgram(
  host: ProgramHost,
  clock: Clock,
  { words, input, timeoutMs, outputMaxSizeBytes }: SinkProgram,
  signal: AbortSignal,
): Promise<SinkProgramEnd> {
  const stopped: SinkProgramEnd = { what: 'fault', text: 'stopped before it ended' }
  if (signal.aborted) return Promise.resolve(stopped)
  return new Promise(resolve => {
    const over = (end: SinkProgramEnd): void => {
      timer.clear()
      signal.removeEventListener('abort', stop)
      resolve(end)
    }
    const stop = (): void => {
      run.end('stopped')
      over(stopped)
    }
    const keptSizeBytes = outputMaxSizeBytes ?? limits.sinkOutputSizeBytes
    const request = { words, input, outputMaxSizeBytes: keptSizeBytes }
    const timer = clock.after(timeoutMs, () => run.end('timeout'))
    const run = host.start(request, end => over(endOf(end)))
    signal.addEventListener('abort', stop, { once: true })
  })
}

function endOf(end: ProgramEnd): SinkProgramEnd {
  return end.what === 'fault' ? end : { ...end, output: outputText(end.output) }
}
