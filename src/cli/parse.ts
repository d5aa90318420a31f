/**
 * From the words of a command line to the flags and arguments of a command.
 *
 * Owns the dialect: flags with one dash or two, before the arguments only, switches that take
 * `=false`, as Go's programs have it. commander checks the names and prints the help; what it
 * does not know (single dashes, where flags end) is put into its form first.
 */
import { Command as Commander, CommanderError } from 'commander'
import { parseDurationMs } from '../base/duration.ts'
import type { Command, Flag, GivenFlag } from './command.ts'

/** The call that the words make, or what to print instead. */
export type Parsed =
  | { readonly kind: 'call'; readonly flags: readonly GivenFlag[]; readonly args: string[] }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'mistake'; readonly text: string }

/** Parses the words after a verb. `name` is the program with its verb, for the help. */
export function parseWords(name: string, command: Command, words: readonly string[]): Parsed {
  const given: GivenFlag[] = []
  const commander = build(name, command, given)
  const normal = normalise(words, new Map(command.flags.map(flag => [flag.name, flag])))
  if (normal === 'help') return { kind: 'help', text: helpText(name, command, commander) }
  try {
    commander.parse(normal, { from: 'user' })
    const mistake = given.map(flag => mistakeOf(flag, command)).find(text => text !== undefined)
    if (mistake !== undefined) return { kind: 'mistake', text: mistake }
    return { kind: 'call', flags: given.map(flag => typed(flag, command)), args: commander.args }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    const text = error.message.replace(/^error: /, '').replaceAll("'--", "'-")
    return { kind: 'mistake', text: `${text}\nSee: ${name} -help` }
  }
}

function helpText(name: string, { examples }: Command, commander: Commander): string {
  const lines = examples.map(example => `  $ ${name} ${example}`.trimEnd())
  return `${commander.helpInformation().trimEnd()}\n\nExamples:\n${lines.join('\n')}`
}

function build(name: string, command: Command, given: GivenFlag[]): Commander {
  const commander = new Commander(name)
    .usage(command.usage)
    .helpOption(false)
    .argument('[args...]')
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .configureHelp({
      optionTerm: ({ flags }) => flags.replace('--', '-').replace(' [on]', '').replace(' <', '=<'),
      visibleArguments: () => [],
    })
  for (const flag of command.flags) {
    const value = flag.kind === 'switch' ? ' [on]' : ' <value>'
    commander.option(`--${flag.name}${value}`, flag.doc)
    commander.on(`option:${flag.name}`, (text: string) =>
      given.push({ name: flag.name, value: text }),
    )
  }
  return commander
}

/** `-a=1 -b x rest` becomes `--a=1 --b=x -- rest`; unknown names are left for commander. */
function normalise(words: readonly string[], flags: ReadonlyMap<string, Flag>): string[] | 'help' {
  const normal: string[] = []
  for (let i = 0; i < words.length; i++) {
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(words[i] ?? '')
    if (match === null) return [...normal, '--', ...words.slice(words[i] === '--' ? i + 1 : i)]
    const [, name = '', value] = match
    const flag = flags.get(name)
    if (flag === undefined && (name === 'help' || name === 'h')) return 'help'
    if (value !== undefined) normal.push(`--${name}=${value}`)
    else if (flag?.kind === 'switch') normal.push(`--${name}=true`)
    else if (flag === undefined || i + 1 === words.length) normal.push(`--${name}`)
    else normal.push(`--${name}=${words[++i]}`)
  }
  return normal
}

const SWITCH = /^(?:(1|t|true)|0|f|false)$/i

const flagOf = ({ name }: GivenFlag, { flags }: Command): Flag | undefined =>
  flags.find(flag => flag.name === name)

function mistakeOf(given: GivenFlag, command: Command): string | undefined {
  const { kind, values } = flagOf(given, command) ?? {}
  const text = String(given.value)
  const isWrong =
    (kind === 'switch' && !SWITCH.test(text)) ||
    (kind === 'number' && !/^-?\d+$/.test(text)) ||
    (kind === 'duration' && parseDurationMs(text) === undefined) ||
    (values !== undefined && !values.includes(text))
  if (!isWrong) return undefined
  const choice = values === undefined ? '' : `: must be ${values.join(' or ')}`
  return `invalid value ${JSON.stringify(text)} for flag -${given.name}${choice}`
}

function typed(given: GivenFlag, command: Command): GivenFlag {
  if (flagOf(given, command)?.kind !== 'switch') return given
  return { name: given.name, value: SWITCH.exec(String(given.value))?.[1] !== undefined }
}
