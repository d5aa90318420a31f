/**
 * A task looked at once: what would change in its target, or a change made now, without pace,
 * schedule and retries.
 *
 * Owns the wait for a whole state and that the target is let go of. Nothing is remembered.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { FollowPort } from '../follow.ts'
import {
  type Plan,
  type SinkPorts,
  type SinkTarget,
  TargetRefusal,
  type Wanted,
} from './declare.ts'
import { Gathered } from './gather.ts'
import { renderTask } from './render.ts'
import type { TaskDefinition } from './task-definition.ts'
import { boundedLines, boundedText } from './task-status.ts'

export interface OncePorts {
  readonly clock: Clock
  readonly follow: FollowPort
  readonly portsOf: (task: string) => SinkPorts
}

/** What was found, or done. */
export type Once =
  | (Plan & {
      readonly how: 'plan' | 'applied'
      readonly summary: string
      /** Of the state. */
      readonly revision: number
    })
  /** Why it could not be. */
  | { readonly how: 'held' | 'unrenderable' | 'refused' | 'lost'; readonly text: string }

/** Compares the target of a task with the newest state; touches nothing. */
export const planOnce = (definition: TaskDefinition, ports: OncePorts): Promise<Once> =>
  once(definition, ports, async (target, wanted, signal) => {
    const found = await target.plan(wanted, signal)
    return found instanceof TargetRefusal ? found : { how: 'plan', ...found }
  })

/** Brings the target of a task to the newest state, where it is not there. */
export const applyOnce = (definition: TaskDefinition, ports: OncePorts): Promise<Once> =>
  once(definition, ports, async (target, wanted, signal) => {
    const found = await target.plan(wanted, signal)
    if (found instanceof TargetRefusal) return found
    if (found.changes.length === 0) return { how: 'applied', ...found }
    const applied = await target.apply(wanted, signal)
    return applied instanceof TargetRefusal ? applied : { how: 'applied', ...applied }
  })

type Work = (
  target: SinkTarget,
  wanted: Wanted,
  signal: AbortSignal,
) => Promise<(Plan & { readonly how: 'plan' | 'applied' }) | TargetRefusal>

async function once(definition: TaskDefinition, ports: OncePorts, work: Work): Promise<Once> {
  const { clock, follow, portsOf } = ports
  const gathered = new Gathered(definition)
  const late = new AbortController()
  const timer = clock.after(definition.timeoutMs, () => late.abort())
  try {
    const problem = await wholeState(gathered, definition, follow, late.signal)
    if (problem !== undefined) return { how: 'lost', text: problem }
    const { outcome, wanted } = renderTask(definition, gathered.state()!, undefined)
    if (outcome.kind === 'held') return { how: 'held', text: outcome.reason }
    if (wanted === undefined) {
      return { how: 'unrenderable', text: 'problem' in outcome ? outcome.problem : '' }
    }
    const target = definition.kind.open(definition.settings, portsOf(definition.name))
    try {
      const found = await work(target, wanted, late.signal)
      if (found instanceof TargetRefusal) return { how: 'refused', text: boundedText(found.text) }
      return {
        how: found.how,
        changes: boundedLines(found.changes),
        problems: boundedLines([...new Set([...wanted.problems, ...found.problems])]),
        summary: wanted.summary,
        revision: gathered.revision,
      }
    } finally {
      await target.close()
    }
  } catch (error) {
    return { how: 'refused', text: boundedText(messageOf(error)) }
  } finally {
    timer.clear()
    gathered.stop()
  }
}

/** Waits until all of it came; why it did not. */
function wholeState(
  gathered: Gathered,
  { filter }: TaskDefinition,
  follow: FollowPort,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise(resolve => {
    let problem = ''
    signal.addEventListener('abort', () => {
      resolve(problem || `nothing came of ${gathered.missing.join(', ')}`)
    })
    gathered.follow(follow, filter, {
      whole: () => resolve(undefined),
      lost(text) {
        problem = boundedText(text)
      },
    })
  })
}
