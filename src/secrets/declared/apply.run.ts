/**
 * Applying a document: first what it would change, then the changes, each a request of its own.
 *
 * Owns the order of asking and what an answer means. It goes the way of every request, so that
 * rights, validation and audit hold for it. What was done stays done when a later entry is refused:
 * applying again goes on from there. Values, which may be secrets, are in no text that it gives.
 */
import { messageOf } from '../../base/errors.ts'
import type { Json, JsonObject } from '../field.ts'
import { type Entry, Place, type Wanted, type WantedData } from './document.ts'
import { matchData } from './match.ts'

/** What an answer said. */
export interface Asked {
  readonly status: number
  readonly data: JsonObject
  readonly errors: readonly string[]
}

/** What is asked of whoever has a document applied. */
export interface ApplyPorts {
  /** Asks as whoever applies. Rejects where there is no answer. */
  ask(operation: 'read' | Entry['operation'], path: string, data: JsonObject): Promise<Asked>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The text of a file. Rejects with what the disk says. */
  readFile(path: string): Promise<string>
}

/** What is to be done about an entry. */
export interface Step {
  readonly entry: Entry
  readonly action: 'create' | 'change' | 'delete' | 'none'
  /** Names of what differs. */
  readonly differing: readonly string[]
  /** Names of what nothing shows, and so was not compared. */
  readonly hidden: readonly string[]
}

/** The steps to what a document wants, or what is wrong with it. */
export type Planned = { readonly steps: readonly Step[] } | { readonly problem: string }

export interface PlanOptions {
  /** Whether this apply initialises: entries for that alone count. */
  readonly isFirst: boolean
  /** Names of entries that are written whatever is there. */
  readonly rewritten: readonly string[]
}

/** Looks at what is there. Nothing is changed. */
export async function planEntries(
  entries: readonly Entry[],
  ports: ApplyPorts,
  options: PlanOptions,
): Promise<Planned> {
  const steps: Step[] = []
  for (const entry of entries) {
    const step = await stepOf(entry, ports, options).catch((error: unknown) => messageOf(error))
    if (typeof step === 'string') return { problem: `${entry.name}: ${step}` }
    steps.push(step)
  }
  return { steps }
}

async function stepOf(
  entry: Entry,
  ports: ApplyPorts,
  { isFirst, rewritten }: PlanOptions,
): Promise<Step | string> {
  const none = { entry, action: 'none', differing: [], hidden: [] } as const
  if (entry.isOnce) return isFirst ? { ...none, action: 'create' } : none
  const shown = await ports.ask('read', entry.shownAt, {})
  if (shown.status === 405) {
    return `${entry.shownAt} ${UNREADABLE}`
  }
  const isThere = shown.status === 200
  if (!isThere && !isAbsent(entry, shown)) return refusedText(shown)
  if (entry.operation === 'delete') return { ...none, action: isThere ? 'delete' : 'none' }
  const wanted = await resolved(entry.data, ports, !isThere)
  if (!isThere) return { ...none, action: 'create' }
  if (entry.kind === 'alias') return aliasStep(entry, wanted, shown.data)
  if (isMount(entry) && wanted.type !== shown.data.type) {
    return `is there with the type ${JSON.stringify(shown.data.type)}: no mount changes its type`
  }
  const { differing, hidden } = matchData(wanted, shown.data)
  const isChanged = differing.length > 0 || rewritten.includes(entry.name)
  return { entry, action: isChanged ? 'change' : 'none', differing, hidden }
}

const UNREADABLE =
  'cannot be read, so nothing tells whether it is done: ' +
  'say shown_at = "…", or only_at_initialization = true'

const isMount = ({ kind }: Entry): boolean => kind === 'mount' || kind === 'auth'

/** Vault answers 400 for a mount that there is not. */
const isAbsent = (entry: Entry, { status }: Asked): boolean =>
  status === 404 || (isMount(entry) && status === 400)

function aliasStep(entry: Entry, wanted: JsonObject, shown: JsonObject): Step {
  const aliases = Array.isArray(shown.aliases) ? (shown.aliases as JsonObject[]) : []
  const isThere = aliases.some(
    each => each.name === wanted.name && each.mount_accessor === wanted.mount_accessor,
  )
  return { entry, action: isThere ? 'none' : 'create', differing: [], hidden: [] }
}

/** Does the steps, one after the other; the problem that ended it, if any. */
export async function applySteps(
  steps: readonly Step[],
  ports: ApplyPorts,
  told: (step: Step) => void,
): Promise<string | undefined> {
  for (const step of steps) {
    if (step.action === 'none') continue
    const { entry } = step
    const problem = await done(step, ports).catch((error: unknown) => messageOf(error))
    if (problem !== undefined) return `${entry.name}: ${problem}`
    told(step)
  }
  return undefined
}

async function done({ entry, action }: Step, ports: ApplyPorts): Promise<string | undefined> {
  const data = await resolved(entry.data, ports, false)
  const isTuned = isMount(entry) && action === 'change'
  const asked = isTuned
    ? await ports.ask('update', `${entry.path}/tune`, tuningOf(data))
    : await ports.ask(entry.operation, entry.path, data)
  return asked.status < 300 ? undefined : refusedText(asked)
}

/** What of a mount is tuned. */
function tuningOf({ description, options, config }: JsonObject): JsonObject {
  const tuned: Record<string, Json> = {}
  if (description !== undefined) tuned.description = description
  if (options !== undefined) tuned.options = options
  return { ...tuned, ...(config as JsonObject | undefined) }
}

const refusedText = ({ status, errors }: Asked): string =>
  `${status} ${errors.map(each => each.trim()).join(', ')}`.trim()

/** Data with what its places hold; `isLenient` passes over what cannot be read yet. */
async function resolved(
  data: WantedData,
  ports: ApplyPorts,
  isLenient: boolean,
): Promise<JsonObject> {
  const found: Record<string, Json> = {}
  for (const [name, value] of Object.entries(data)) {
    found[name] = await heldIn(value, ports, isLenient)
  }
  return found
}

async function heldIn(value: Wanted, ports: ApplyPorts, isLenient: boolean): Promise<Json> {
  if (value instanceof Place) return held(value, ports, isLenient)
  if (Array.isArray(value)) {
    const list: Json[] = []
    for (const each of value) list.push(await heldIn(each, ports, isLenient))
    return list
  }
  if (typeof value !== 'object' || value === null) return value as Json
  return resolved(value as WantedData, ports, isLenient)
}

async function held(place: Place, ports: ApplyPorts, isLenient: boolean): Promise<Json> {
  const { from, at, field } = place
  if (from === 'env') {
    const value = Object.hasOwn(ports.environment, at) ? ports.environment[at] : undefined
    if (value === undefined) throw new Error(`the variable ${at} is not set`)
    return value
  }
  if (from === 'file') return ports.readFile(at)
  const shown = await ports.ask('read', at, {})
  const value = Object.hasOwn(shown.data, field) ? shown.data[field] : undefined
  if (shown.status === 200 && value !== undefined) return value
  if (isLenient) return null
  throw new Error(`${at} shows no ${field}`)
}

const SIGNS = { create: '+', change: '~', delete: '-', none: ' ' } as const

/** A plan in words; no value is in it. */
export function planText(steps: readonly Step[]): string {
  const lines = steps.flatMap(({ entry, action, differing, hidden }) => {
    if (action === 'none' && hidden.length === 0) return []
    const about = [
      ...(differing.length === 0 ? [] : [`differs in ${differing.join(', ')}`]),
      ...(hidden.length === 0 ? [] : [`not shown, so not compared: ${hidden.join(', ')}`]),
    ]
    return [`  ${SIGNS[action]} ${entry.name}${about.length === 0 ? '' : `: ${about.join('; ')}`}`]
  })
  const counts = (['create', 'change', 'delete'] as const)
    .map(action => [action, steps.filter(step => step.action === action).length] as const)
    .filter(([, count]) => count > 0)
    .map(([action, count]) => `${count} to ${action}`)
  return [...lines, counts.length === 0 ? 'No changes.' : `Plan: ${counts.join(', ')}.`].join('\n')
}
