/**
 * What a state comes to for a task: what its target should be, or why it is not to be touched.
 *
 * Owns the guard of a task. Whatever a kind throws is a state that cannot be rendered. Pure.
 */
import { messageOf, Refusal } from '../../base/errors.ts'
import type { Wanted } from './declare.ts'
import { isUsable, type SinkState } from './state.ts'
import type { Rendered } from './task.ts'
import { type TaskDefinition, usableOf } from './task-definition.ts'
import { boundedText } from './task-status.ts'

export type Outcome =
  | { readonly outcome: Extract<Rendered, { kind: 'wanted' }>; readonly wanted: Wanted }
  | { readonly outcome: Exclude<Rendered, { kind: 'wanted' }>; readonly wanted?: undefined }

/** `last` is the state that was applied last, undefined where none is known. */
export function renderTask(
  definition: TaskDefinition,
  state: SinkState,
  last: SinkState | undefined,
): Outcome {
  const { kind, settings } = definition
  const reason = heldBy(definition, state)
  if (reason !== undefined) return { outcome: { kind: 'held', reason } }
  const refused = (text: string): Outcome => {
    return { outcome: { kind: 'refused', problem: boundedText(text) } }
  }
  try {
    const wanted = kind.want(settings, state, last)
    if (wanted instanceof Refusal) return refused(wanted.text)
    return { outcome: { kind: 'wanted', digest: wanted.digest }, wanted }
  } catch (error) {
    return refused(messageOf(error))
  }
}

/** Why a state is not to be applied; undefined where it is. */
function heldBy(definition: TaskDefinition, { services }: SinkState): string | undefined {
  const { minInstances } = definition
  const least = usableOf(definition)
  for (const [name, instances] of services) {
    const usable = instances.filter(one => isUsable(one, least)).length
    if (usable >= minInstances) continue
    const has = `${JSON.stringify(name)} has ${usable} usable instances`
    return `${has} of the ${minInstances} it must have`
  }
  return undefined
}
