/**
 * The small process that runs programs for a large one; started by program-host.run.ts alone.
 *
 * Owns the programs that run in it. It obeys its parent, not signals: a Ctrl-C on the terminal, or
 * a service manager that ends a whole group, reaches it too, and the parent may need it until the
 * end. When the parent is gone, all that runs here is ended, and so is this.
 */
import type { Run } from './define.ts'
import { startProgram } from './program.run.ts'
import type { HostAnswer, HostMessage } from './program-host.run.ts'

/** The end of a channel that a parent sends on. */
export interface ParentChannel {
  on(event: 'message', listener: (message: HostMessage) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
  send?(answer: HostAnswer, sent: (error: Error | null) => void): unknown
}

/** Serves a parent until it is gone. */
export function serveParent(
  parent: ParentChannel,
  environment: Readonly<Record<string, string>>,
): void {
  const runs = new Map<number, Run>()
  parent.on('message', message => {
    const { id } = message
    if ('end' in message) {
      runs.get(id)?.end(message.end)
      if (message.end === 'stopped') runs.delete(id)
      return
    }
    let isOver = false
    const run = startProgram(message.start, environment, end => {
      isOver = true
      runs.delete(id)
      // The parent may be gone by now.
      parent.send?.({ id, end }, () => {})
    })
    if (!isOver) runs.set(id, run)
  })
  parent.on('disconnect', () => {
    for (const run of runs.values()) run.end('stopped')
  })
}

if (process.argv[1] === import.meta.filename && process.connected) {
  // Programs make their files as if they were started by hand.
  const [, , mask] = process.argv
  if (mask !== undefined) process.umask(Number(mask))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  serveParent(process as ParentChannel, process.env as Record<string, string>)
}
