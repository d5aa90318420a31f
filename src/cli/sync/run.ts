/**
 * The verb `sync run`: keeps the targets of sinks right as long as it runs, outside of any agent.
 *
 * Owns its signals (SIGHUP reads the files again and takes over what changed, a first SIGINT or
 * SIGTERM ends it in order) and the file that tells its status. Targets stay as they are when it
 * ends.
 */
import { resolve } from 'node:path'
import { sinkWorld } from '../../agent/sink-ports.ts'
import { messageOf } from '../../base/errors.ts'
import { writeFileAtomic } from '../../base/io/file.ts'
import { createLog } from '../../base/io/log.ts'
import { limits } from '../../base/limits.ts'
import { type Log, type LogLevel, logLevelOf } from '../../base/log.ts'
import { pause } from '../../base/pause.ts'
import { SinkTasks } from '../../feed/sink/tasks.run.ts'
import { ownSinkJson } from '../../http/registry/sinks.ts'
import { endSignals } from '../child.ts'
import { type Call, type Command, fail } from '../command.ts'
import { fileFlags, tasksOf } from './files.ts'
import { followFlags, followOf } from './follow.ts'

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']

export const syncRun: Command = {
  usage: '[options] -config=FILE',
  flags: [
    ...fileFlags,
    {
      name: 'status-file',
      kind: 'text',
      doc: 'file that tells how the sinks stand, written where that changed; see `sync status`',
    },
    { name: 'log-level', kind: 'text', values: LEVELS, doc: 'least level of the log (info)' },
    ...followFlags,
  ],
  examples: [
    '-config=sinks.hcl',
    '-config=sinks.d -status-file=/run/gatehouse-sync.json -other-addr=10.0.0.2:8500',
  ],
  async run(call) {
    const { io, flags } = call
    const log = createLog({ level: logLevelOf(flags.text('log-level') ?? 'info')!, json: false })
    try {
      const first = await tasksOf(call)
      const followAs = await followOf(call)
      const { clock, random, environment } = io
      const world = sinkWorld({ clock, random, environment, allow: [] })
      const tasks = new SinkTasks({ clock, random, log, followAs, portsOf: world.portsOf })
      const stop = new AbortController()
      for (const name of endSignals) io.onSignal(name, () => stop.abort())
      io.onSignal('SIGHUP', () => void reload(call, tasks, log))
      await tasks.configure(first)
      log.info('sinks are kept right', { sinks: first.length })
      await tell(call, tasks, log, stop.signal)
      await tasks.stop()
      await world.close()
      log.info('stopped; the targets stay as they are')
      return 0
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return fail(io, error.message)
    }
  },
}

/** Takes over the files as they are now; where anything is wrong with them, nothing of them. */
async function reload(call: Call, tasks: SinkTasks, log: Log): Promise<void> {
  try {
    const next = await tasksOf(call)
    await tasks.configure(next)
    log.info('sinks were read again', { sinks: next.length })
  } catch (error) {
    for (const problem of messageOf(error).split('\n')) log.error('reload refused', { problem })
  }
}

/** Tells the status until the signal aborts, and once more then. */
async function tell(call: Call, tasks: SinkTasks, log: Log, signal: AbortSignal): Promise<void> {
  const given = call.flags.text('status-file')
  let told = ''
  for (;;) {
    const text = `${JSON.stringify(tasks.all().map(ownSinkJson), undefined, 2)}\n`
    if (given && text !== told) {
      told = text
      await writeFileAtomic(resolve(given), text, { modeBits: READABLE }).catch(
        (error: unknown) => {
          told = ''
          log.warn('the status could not be written', { error: messageOf(error) })
        },
      )
    }
    if (signal.aborted) return
    await pause(call.io.clock, limits.sinkStatusMs, signal)
  }
}

const READABLE = 0o644
