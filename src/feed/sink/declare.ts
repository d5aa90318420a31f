/**
 * What a kind of sink is: its name, its settings, what it wants of its target for a state, and how
 * it makes the target so.
 *
 * Owns the types, `defineSink`, and what is the same for all kinds: which instances may be used and
 * what happens to a service that has none left. When a sink runs, how often it is tried and where
 * its status goes is not its business (the task's). Adding a kind is a folder beside this file and
 * a line of mod.ts.
 */
import type { Clock, Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { SettingFields, SettingsOf, SettingValues } from './schema.ts'
import { type Instance, isUsable, type SinkState } from './state.ts'

/** What a target should be. */
export interface Wanted<W = unknown> {
  /** For the kind's own target. */
  readonly what: W
  /** Equal where nothing of it differs: an order to make the target so is needed for a new one. */
  readonly digest: string
  /** One line for people: what is in it. */
  readonly summary: string
  /** What was left out or kept, and why; a status shows them. Never a reason to stop. */
  readonly problems: readonly string[]
  /** The state as it was taken; once this is applied it is the `last` of the next. */
  readonly state: SinkState
}

/** What would change in a target, as lines for people; none where it is as wanted. */
export interface Plan {
  readonly changes: readonly string[]
  /** What cannot be done, though the rest can. */
  readonly problems: readonly string[]
}

/** What was changed. */
export interface Applied extends Plan {
  /**
   * Apply the same again after so long, whether anything changed or not: connections are let
   * finish, or the target may have lost what it was told. Undefined where there is nothing to see.
   */
  readonly againMs: number | undefined
}

/** A target that could not be made as wanted, or could not be asked. */
export class TargetRefusal {
  /** Why, for people; it holds no secret and is bounded. */
  readonly text: string
  /** Whether the same may go well later; else only a new state or new settings help. */
  readonly mayRetry: boolean
  /** What the target is now. */
  readonly target: 'as it was' | 'put back' | 'unknown'

  constructor(text: string, mayRetry: boolean, target: TargetRefusal['target'] = 'as it was') {
    this.text = text
    this.mayRetry = mayRetry
    this.target = target
  }
}

/** An open target. It is asked for one thing at a time. */
export interface SinkTarget<W = unknown> {
  /** What would change; touches nothing. */
  plan(wanted: Wanted<W>, signal: AbortSignal): Promise<Plan | TargetRefusal>
  /**
   * Makes the target as wanted, all or nothing: one that refuses keeps or gets back what it had.
   * Looks at the target first, so that to apply again what stands costs little and mends what was
   * lost.
   */
  apply(wanted: Wanted<W>, signal: AbortSignal): Promise<Applied | TargetRefusal>
  /** Lets go of everything; the target stays as it is. */
  close(): Promise<void>
}

/** A program that a sink has run. */
export interface SinkProgram {
  /** Words, never a line of a shell. */
  readonly words: readonly string[]
  /** What it reads. */
  readonly input: string
  readonly timeoutMs: number
  /** How much of what it prints is kept, where that is more than for a refusal. */
  readonly outputMaxSizeBytes?: number
}

/** How it ended. `output` is the end of what it printed, bounded. */
export type SinkProgramEnd =
  | { readonly what: 'exit'; readonly code: number | undefined; readonly output: string }
  | { readonly what: 'timeout'; readonly output: string }
  /** It could not be started, or whoever runs it was stopped. */
  | { readonly what: 'fault'; readonly text: string }

/** What targets are given to work with. */
export interface SinkPorts {
  /** The name of the task, for texts. */
  readonly task: string
  readonly clock: Clock
  readonly random: Random
  /** The addresses of a name, at least one. Rejects with OperatingError. */
  readonly addressesOf: (name: string) => Promise<readonly string[]>
  /** Whether an address may be connected to. */
  readonly mayReach: (address: string) => boolean
  /** Runs a program in a clean environment; nothing of it outlives its time or the signal. */
  readonly run: (program: SinkProgram, signal: AbortSignal) => Promise<SinkProgramEnd>
  /** A variable of this process, for secrets that one names; undefined where there is none. */
  readonly variable: (name: string) => string | undefined
}

/** A kind of sink. */
export interface SinkKind {
  readonly kind: string
  readonly summary: string
  readonly fields: SettingFields
  /** It writes files or runs programs: only the local configuration may declare one. */
  readonly isLocal: boolean
  /** What is wrong with settings that are each right by themselves. */
  problemOf(values: SettingValues): string | undefined
  /**
   * Reads the files that settings name whose content decides what is wanted (templates), once the
   * settings were found right. What it gives takes the place of the settings in all that follows.
   */
  prepare?(
    values: SettingValues,
    readText: (path: string) => Promise<string>,
  ): Promise<SettingValues | Refusal>
  /**
   * What the target should be for a state. `last` is the state that was applied last, undefined
   * where none is known. A refusal where the state cannot be had: the target stays as it is.
   */
  want(values: SettingValues, state: SinkState, last: SinkState | undefined): Wanted | Refusal
  /** Opens a target; touches nothing yet. */
  open(values: SettingValues, ports: SinkPorts): SinkTarget
}

/** What a kind makes of a state. */
export interface Rendered<W> {
  readonly what: W
  readonly digest: string
  readonly summary: string
  readonly problems: readonly string[]
}

/** What is rendered. */
export interface RenderState extends SinkState {
  /** What was applied last; undefined where nothing is known of it. */
  readonly last: SinkState | undefined
  /**
   * Services without a usable instance, of which nothing is known from before, and whose target
   * should keep what it has of them.
   */
  readonly held: ReadonlySet<string>
}

/** What is the same in the settings of all kinds. */
const commonFields = {
  use: {
    type: 'text',
    help: 'instances that are used: those passing, also those with a warning, or any',
    oneOf: ['passing', 'warning', 'any'],
    byDefault: 'warning',
  },
  on_empty: {
    type: 'text',
    help: 'for a service without usable instances: keep what stands, or apply that it has none',
    oneOf: ['keep', 'apply'],
    byDefault: 'keep',
  },
} as const satisfies SettingFields

/** The settings that a kind sees: its own and those of all. */
export type KindSettings<F extends SettingFields> = SettingsOf<F & typeof commonFields>

/** What a kind declares. */
export interface SinkDeclaration<F extends SettingFields, W> {
  readonly kind: string
  readonly summary: string
  readonly fields: F
  readonly isLocal: boolean
  /** What becomes of a service without a usable instance unless the settings say. */
  readonly onEmpty: 'keep' | 'apply'
  problemOf(settings: KindSettings<F>): string | undefined
  /**
   * Whether an instance that may be used can stand in the target at all; all of them can unless
   * given. A service that has only others has nobody: one odd registration must not empty it.
   */
  takes?(settings: KindSettings<F>, instance: Instance): boolean
  prepare?: SinkKind['prepare']
  render(settings: KindSettings<F>, state: RenderState): Rendered<W> | Refusal
  open(settings: KindSettings<F>, ports: SinkPorts): SinkTarget<W>
}

/** Declares a kind; mod.ts lists them. */
export function defineSink<const F extends SettingFields, W>(
  declared: SinkDeclaration<F, W>,
): SinkKind {
  const { kind, summary, isLocal, onEmpty } = declared
  const common = { ...commonFields, on_empty: { ...commonFields.on_empty, byDefault: onEmpty } }
  return {
    kind,
    summary,
    isLocal,
    fields: { ...common, ...declared.fields },
    ...(declared.prepare === undefined ? {} : { prepare: declared.prepare }),
    problemOf: values => declared.problemOf(values as KindSettings<F>),
    want(values, given, last) {
      const settings = values as KindSettings<F>
      const isTaken = (one: Instance): boolean =>
        isUsable(one, settings.use) && (declared.takes?.(settings, one) ?? true)
      const { state, held, problems } = withKept(settings, given, last, isTaken)
      const rendered = declared.render(settings, { ...state, last, held })
      if (rendered instanceof Refusal) return rendered
      return { ...rendered, problems: [...problems, ...rendered.problems], state }
    },
    open: (values, ports) => declared.open(values as KindSettings<F>, ports),
  }
}

/** The state with what is kept from before for services that have no usable instance left. */
function withKept(
  settings: KindSettings<SettingFields>,
  state: SinkState,
  last: SinkState | undefined,
  isTaken: (one: Instance) => boolean,
) {
  const held = new Set<string>()
  const problems: string[] = []
  const services = new Map<string, readonly Instance[]>()
  for (const [name, instances] of state.services) {
    services.set(name, instances)
    if (instances.some(isTaken)) continue
    const shown = JSON.stringify(name)
    const before = last?.services.get(name) ?? []
    if (settings.on_empty === 'apply') {
      problems.push(`service ${shown} has no usable instance`)
    } else if (before.some(isTaken)) {
      services.set(name, before)
      problems.push(`service ${shown} has no usable instance: the last ones are kept`)
    } else {
      held.add(name)
      problems.push(`service ${shown} has no usable instance: what stands of it is kept`)
    }
  }
  return { state: { ...state, services }, held, problems }
}
