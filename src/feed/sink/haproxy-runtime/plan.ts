/**
 * The way from a backend as it is to the one that is wanted, in commands of HAProxy's Runtime API.
 *
 * Owns the order: what comes is ready before anything goes; what fails goes at once; what is
 * registered no more drains first, and its slot is free once its connections have ended or their
 * time is over. Only servers that we added are ever removed. Pure.
 */
import { bracketed } from '../place.ts'
import type { ServerRow } from './rows.ts'
import { placeKey, type ServerMode, type WantedBackend, type WantedServer } from './want.ts'

/** One command. */
export interface Command {
  readonly text: string
  /** What the answer is when it went well. */
  readonly isDone: RegExp
  /** What undoes it, in order. */
  readonly undo: readonly string[]
  /** A weight: a backend whose balance knows none goes on without. */
  readonly isWeight?: boolean
}

/** Commands that belong together. */
export interface Step {
  readonly commands: readonly Command[]
  /** Where HAProxy refuses to set something, all is undone; where it adds or removes none, not. */
  readonly what: 'add' | 'remove' | 'set'
  readonly backend: string
}

/** What is done to a backend. */
export interface BackendPlan {
  readonly steps: readonly Step[]
  readonly problems: readonly string[]
  /** Whether something has to be looked at again, as connections have not ended yet. */
  readonly isDraining: boolean
}

/** What may be done. */
export interface PlanOptions {
  /** How the names of servers begin that are ours to use. */
  readonly slots: string
  readonly mayAdd: boolean
  readonly mayWeigh: boolean
  readonly serverOptions: readonly string[]
  /** Whether health is what we say, not what HAProxy's own checks find. */
  readonly isHealthOurs: boolean
  /** Whether a server that drains has had its time. */
  isOverdue(row: ServerRow): boolean
}

/** How the names of servers begin that we add. */
const OURS = 'gh-'

const QUIET = /^$/

/** Plans one backend. */
export function planBackend(
  all: readonly ServerRow[],
  { backend, servers }: WantedBackend,
  options: PlanOptions,
): BackendPlan {
  const isMine = ({ name }: ServerRow) => name.startsWith(options.slots) || isAdded(name)
  const rows = all.filter(row => row.backend === backend && isMine(row))
  const { pairs, left, missing } = matched(rows, servers)
  const problems: string[] = []
  const coming: Step[] = []
  const failing: Step[] = []
  for (const [row, server] of pairs) {
    const steps = server.mode === 'ready' ? coming : failing
    steps.push(...changeSteps(row, server, options))
  }
  // Failing instances that have no server need none.
  const free = freeSlots(left, pairs, options)
  for (const server of missing.filter(({ mode }) => mode === 'ready')) {
    const isNew = free.idle.length === 0 && options.mayAdd
    const row = isNew ? undefined : (free.idle.shift() ?? free.busy.shift())
    if (isNew) coming.push(addStep(backend, server, options))
    else if (row === undefined) {
      const place = `${bracketed(server.address)}:${server.port}`
      problems.push(`backend ${backend} has no server free for ${place}`)
    } else {
      coming.push(slotStep(row, server, options))
      left.delete(row)
      drop(failing, row)
    }
  }
  const going = goingSteps([...left], options)
  return {
    steps: [...coming, ...failing, ...going.steps],
    problems,
    isDraining: going.isDraining,
  }
}

const isAdded = (name: string): boolean => name.startsWith(OURS)

/** Which server stands for which that is wanted, by their places. */
function matched(rows: readonly ServerRow[], servers: readonly WantedServer[]) {
  const left = new Set(rows)
  const pairs: [ServerRow, WantedServer][] = []
  const missing: WantedServer[] = []
  const byPlace = Map.groupBy(rows, placeKey)
  for (const server of servers) {
    // Several at one place: the one that is right already, else the one that is in use.
    const same = (byPlace.get(placeKey(server)) ?? []).filter(row => left.has(row))
    const rank = ({ mode }: ServerRow): number => (mode === server.mode ? 4 : IN_USE[mode])
    const row = same.toSorted((a, b) => rank(b) - rank(a) || a.sessions - b.sessions)[0]
    if (row === undefined) {
      missing.push(server)
      continue
    }
    left.delete(row)
    pairs.push([row, server])
  }
  return { pairs, left, missing }
}

const IN_USE: Readonly<Record<ServerMode, number>> = { ready: 3, down: 2, drain: 1, maint: 0 }

/** Slots for what comes, those first that disturb nobody. */
function freeSlots(
  left: ReadonlySet<ServerRow>,
  pairs: readonly (readonly [ServerRow, WantedServer])[],
  { isOverdue }: PlanOptions,
) {
  const slots = [...left].filter(({ name }) => !isAdded(name))
  const ordered = slots.toSorted((a, b) => IN_USE[a.mode] - IN_USE[b.mode])
  const isIdle = (row: ServerRow) => row.mode === 'maint' || row.sessions === 0 || isOverdue(row)
  const fewest = (a: ServerRow, b: ServerRow): number => a.sessions - b.sessions
  const failing = pairs.filter(([row, { mode }]) => mode === 'maint' && !isAdded(row.name))
  return {
    idle: ordered.filter(isIdle),
    // A new address is for new connections alone: those under way end where they are.
    busy: [
      ...ordered.filter(row => !isIdle(row)).sort(fewest),
      ...failing.map(([row]) => row).sort(fewest),
    ],
  }
}

/** Takes back what was to be done to a server whose slot another one has now. */
function drop(steps: Step[], { backend, name }: ServerRow): void {
  const words = `set server ${backend}/${name} `
  for (let at = steps.length - 1; at >= 0; at--) {
    if (steps[at]?.commands.some(({ text }) => text.startsWith(words))) steps.splice(at, 1)
  }
}

function changeSteps(row: ServerRow, server: WantedServer, options: PlanOptions): Step[] {
  const isIdle = server.mode === 'maint' || server.mode === 'down'
  const isWeighed = isIdle || !options.mayWeigh || row.weight === server.weight
  const commands = [
    ...(isWeighed ? [] : [weigh(row, server.weight)]),
    ...modeCommands(row, server.mode, options),
  ]
  return commands.length > 0 ? [step('set', row.backend, commands)] : []
}

/** A slot becomes the server of an instance; it is in use only once all of it is right. */
function slotStep(row: ServerRow, server: WantedServer, options: PlanOptions): Step {
  const name = `${row.backend}/${row.name}`
  const undo = row.port > 0 ? [`set server ${name} addr ${row.address} port ${row.port}`] : []
  const commands: Command[] = [
    {
      text: `set server ${name} addr ${server.address} port ${server.port}`,
      isDone: /^(IP|port|no need)\b.*(changed|no need)/,
      undo,
    },
  ]
  if (options.mayWeigh && row.weight !== server.weight) commands.push(weigh(row, server.weight))
  commands.push(...modeCommands(row, server.mode, options))
  return step('set', row.backend, commands)
}

function addStep(backend: string, server: WantedServer, { serverOptions }: PlanOptions): Step {
  const place = `${bracketed(server.address)}:${server.port}`
  const name = `${backend}/${OURS}${server.address}:${server.port}`
  const words = [`add server ${name} ${place} weight ${server.weight}`, ...serverOptions]
  const commands: Command[] = [
    {
      text: words.join(' '),
      isDone: /New server registered/,
      undo: [`set server ${name} state maint`, `del server ${name}`],
    },
    { text: `set server ${name} state ready`, isDone: QUIET, undo: [] },
  ]
  // Checks of a server that was added are off until they are asked for.
  if (serverOptions.includes('check')) {
    commands.push({ text: `enable health ${name}`, isDone: QUIET, undo: [] })
  }
  return step('add', backend, commands)
}

/** Servers of instances that are gone. */
function goingSteps(rows: readonly ServerRow[], options: PlanOptions) {
  const steps: Step[] = []
  let isDraining = false
  for (const row of rows) {
    const isBusy = row.sessions > 0 && !options.isOverdue(row)
    if (row.mode === 'maint') {
      if (!isAdded(row.name)) continue
      steps.push(removeStep(row))
      isDraining = true
    } else if (isBusy) {
      isDraining = true
      if (row.mode !== 'drain') {
        steps.push(step('set', row.backend, modeCommands(row, 'drain', options)))
      }
    } else {
      steps.push(step('set', row.backend, modeCommands(row, 'maint', options)))
      if (!isAdded(row.name)) continue
      steps.push(removeStep(row))
      isDraining = true
    }
  }
  return { steps, isDraining }
}

/** HAProxy removes it once nothing is connected to it any more: until then it is tried again. */
const removeStep = ({ backend, name }: ServerRow): Step =>
  step('remove', backend, [
    { text: `del server ${backend}/${name}`, isDone: /Server deleted/, undo: [] },
  ])

const step = (what: Step['what'], backend: string, commands: readonly Command[]): Step => ({
  what,
  backend,
  commands,
})

const weigh = ({ backend, name, weight }: ServerRow, wanted: number): Command => ({
  text: `set server ${backend}/${name} weight ${wanted}`,
  isDone: QUIET,
  undo: [`set server ${backend}/${name} weight ${weight}`],
  isWeight: true,
})

function modeCommands(row: ServerRow, mode: ServerMode, { isHealthOurs }: PlanOptions): Command[] {
  if (row.mode === mode) return []
  const name = `${row.backend}/${row.name}`
  const state = (one: string): string => `set server ${name} state ${one}`
  const health = (one: string): string => `set server ${name} health ${one}`
  const isHealth = row.mode === 'down'
  const setState = (one: ServerMode): Command => ({
    text: state(one),
    isDone: QUIET,
    undo: [state(isHealth ? 'ready' : row.mode)],
  })
  const setHealth = (one: 'up' | 'down'): Command => ({
    text: health(one),
    isDone: QUIET,
    undo: isHealth || one === 'down' ? [health(one === 'up' ? 'down' : 'up')] : [],
  })
  if (mode === 'down') {
    return row.mode === 'ready' ? [setHealth('down')] : [setHealth('down'), setState('ready')]
  }
  if (mode !== 'ready') return [setState(mode)]
  // Where HAProxy's own checks say no, it is not for us to say yes.
  if (isHealth) return isHealthOurs ? [setHealth('up')] : []
  return isHealthOurs ? [setHealth('up'), setState(mode)] : [setState(mode)]
}
